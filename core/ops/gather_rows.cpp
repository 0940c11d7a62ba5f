#include <tenon/reference/gather_rows.h>

#include <fmt/format.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kX, kRows };
constexpr Port kInputs[] = {{"x"}, {"rows"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kX, TENON_F32, 2));
    TENON_CHECK(node.expect_type(kRows, TENON_I32, 1));
    return std::vector<ValueType>{{TENON_F32, {node.dim(kRows, 0), node.dim(kX, 1)}}};
}

Status run(const RunArgs& args) {
    const HostArray& x = args.inputs[kX];
    const HostArray& rows = args.inputs[kRows];
    for (int64_t i = 0; i < rows.dims[0]; ++i) {
        if (rows.i32()[i] >= 0 && rows.i32()[i] < x.dims[0]) continue;
        return args.node.error(fmt::format("index {} at place {} is outside the {} rows of x",
                                           rows.i32()[i], i, x.dims[0]));
    }
    reference::gather_rows(x.f32(), x.dims[1], rows.i32(), rows.dims[0],
                           args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kGatherRowsOp{
    TENON_OP_GATHER_ROWS, "gather_rows", kInputs, kOutputs, 0, infer, run, nullptr};

}  // namespace tenon::ops
