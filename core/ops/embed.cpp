#include <tenon/reference/embed.h>

#include <fmt/format.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kTable, kIds };
constexpr Port kInputs[] = {{"table"}, {"ids"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_weight(kTable));
    TENON_CHECK(node.expect_type(kIds, TENON_I32, 1));
    return std::vector<ValueType>{{TENON_F32, {node.dim(kIds, 0), node.dim(kTable, 1)}}};
}

Status run(const RunArgs& args) {
    const HostArray& table = args.inputs[kTable];
    const HostArray& ids = args.inputs[kIds];
    for (int64_t t = 0; t < ids.dims[0]; ++t) {
        if (ids.i32()[t] >= 0 && ids.i32()[t] < table.dims[0]) continue;
        return args.node.error(fmt::format("id {} of token {} is outside the table's {} rows",
                                           ids.i32()[t], t, table.dims[0]));
    }
    reference::embed(table.f32(), table.dims[1], ids.i32(), ids.dims[0],
                     args.node.attr<tenon_attr_embed>().scale, args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kEmbedOp{TENON_OP_EMBED,           "embed", kInputs, kOutputs,
                               sizeof(tenon_attr_embed), infer,   run,     nullptr};

}  // namespace tenon::ops
