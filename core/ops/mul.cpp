#include <tenon/reference/mul.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kA, kB };
constexpr Port kInputs[] = {{"a"}, {"b"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kA, TENON_F32, node.input(kA).rank));
    TENON_CHECK(node.expect_type(kB, TENON_F32, node.input(kB).rank));
    if (node.input(kB).rank == 1) {
        TENON_CHECK(node.expect_equal(kA, node.input(kA).rank - 1, kB, 0));
    } else {
        TENON_CHECK(node.expect_same_shape(kA, kB));
    }
    return std::vector<ValueType>{{TENON_F32, node.dims(kA)}};
}

Status run(const RunArgs& args) {
    const HostArray& a = args.inputs[kA];
    const HostArray& b = args.inputs[kB];
    if (a.count() == 0) return {};
    reference::mul(a.f32(), b.f32(), a.count(), b.count(), args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kMulOp{TENON_OP_MUL, "mul", kInputs, kOutputs, 0, infer, run, nullptr};

}  // namespace tenon::ops
