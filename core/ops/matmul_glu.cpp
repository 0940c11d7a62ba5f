#include <tenon/reference/matmul_glu.h>

#include <fmt/format.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kX, kGate, kUp };
constexpr Port kInputs[] = {{"x"}, {"gate"}, {"up"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kX, TENON_F32, 2));
    TENON_CHECK(node.expect_weight(kGate));
    TENON_CHECK(node.expect_weight(kUp));
    TENON_CHECK(node.expect_equal(kX, 1, kGate, 1));
    TENON_CHECK(node.expect_same_shape(kGate, kUp));
    const uint32_t kind = node.attr<tenon_attr_matmul_glu>().activation;
    if (kind > TENON_ACT_GELU_ERF) return node.error(fmt::format("activation {} is unknown", kind));
    return std::vector<ValueType>{{TENON_F32, {node.dim(kX, 0), node.dim(kGate, 0)}}};
}

Status run(const RunArgs& args) {
    const HostArray& x = args.inputs[kX];
    const HostArray& gate = args.inputs[kGate];
    reference::matmul_glu(x.f32(), gate.f32(), args.inputs[kUp].f32(), x.dims[0], gate.dims[0],
                          gate.dims[1], args.node.attr<tenon_attr_matmul_glu>().activation,
                          args.outputs[0].as<float>());
    return {};
}

std::vector<ValueId> decompose(const NodeView& node, std::span<const ValueId> inputs,
                               ProgramBuilder& to) {
    const std::string name(text_of(node.node().name));
    const auto kind = static_cast<tenon_activation>(node.attr<tenon_attr_matmul_glu>().activation);
    const ValueId gate = to.matmul(name + ".gate", inputs[kX], inputs[kGate]);
    const ValueId up = to.matmul(name + ".up", inputs[kX], inputs[kUp]);
    return {to.mul(name, to.activation(name + ".activation", gate, kind), up)};
}

}  // namespace

constinit const OpDef kMatmulGluOp{TENON_OP_MATMUL_GLU,           "matmul_glu", kInputs, kOutputs,
                                   sizeof(tenon_attr_matmul_glu), infer,        run,     decompose};

}  // namespace tenon::ops
