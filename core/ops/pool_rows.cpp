#include <tenon/reference/pool_rows.h>

#include <fmt/format.h>

#include "core/ops/sequence_rows.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kX, kQStart };
constexpr Port kInputs[] = {{"x"}, {"q_start"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kX, TENON_F32, 2));
    TENON_TRY(const Dim sequences, sequences_of(node, kQStart));
    const uint32_t kind = node.attr<tenon_attr_pool_rows>().kind;
    if (kind < TENON_POOL_LAST || kind > TENON_POOL_MEAN) {
        return node.error(fmt::format("pooling rule {} is unknown", kind));
    }
    return std::vector<ValueType>{{TENON_F32, {sequences, node.dim(kX, 1)}}};
}

Status run(const RunArgs& args) {
    const HostArray& x = args.inputs[kX];
    const HostArray& q_start = args.inputs[kQStart];
    TENON_CHECK(check_q_start(args, q_start, x.dims[0]));
    reference::pool_rows(x.f32(), x.dims[1], q_start.i32(), q_start.dims[0] - 1,
                         args.node.attr<tenon_attr_pool_rows>().kind, args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kPoolRowsOp{TENON_OP_POOL_ROWS,           "pool_rows", kInputs, kOutputs,
                                  sizeof(tenon_attr_pool_rows), infer,       run,     nullptr};

}  // namespace tenon::ops
