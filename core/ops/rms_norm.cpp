#include <tenon/reference/rms_norm.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kX, kGain, kResidual };
constexpr Port kInputs[] = {{"x"}, {"gain"}, {"residual", true}};
constexpr Port kOutputs[] = {{"y"}, {"s", true}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kX, TENON_F32, 2));
    TENON_CHECK(node.expect_type(kGain, TENON_F32, 1));
    TENON_CHECK(node.expect_equal(kX, 1, kGain, 0));
    if (node.has(kResidual)) {
        TENON_CHECK(node.expect_type(kResidual, TENON_F32, 2));
        TENON_CHECK(node.expect_same_shape(kX, kResidual));
    }
    if (!(node.attr<tenon_attr_rms_norm>().epsilon >= 0.0f)) {
        return node.error("epsilon must be 0 or more");
    }
    return std::vector<ValueType>{{TENON_F32, node.dims(kX)}, {TENON_F32, node.dims(kX)}};
}

Status run(const RunArgs& args) {
    const HostArray& x = args.inputs[kX];
    const auto& attr = args.node.attr<tenon_attr_rms_norm>();
    reference::rms_norm(x.f32(), args.inputs[kGain].f32(), args.inputs[kResidual].f32(), x.dims[0],
                        x.dims[1], attr.epsilon, attr.gain_offset, args.outputs[0].as<float>(),
                        args.outputs[1].as<float>());
    return {};
}

std::vector<ValueId> decompose(const NodeView& node, std::span<const ValueId> inputs,
                               ProgramBuilder& to) {
    if (!node.has(kResidual)) return {};
    const auto& attr = node.attr<tenon_attr_rms_norm>();
    const std::string name(text_of(node.node().name));
    const ValueId sum = to.add(name + ".sum", inputs[kX], inputs[kResidual]);
    const ValueId y =
        to.rms_norm(name, sum, inputs[kGain], attr.epsilon, kNoValue, nullptr, attr.gain_offset);
    return {y, sum};
}

}  // namespace

constinit const OpDef kRmsNormOp{TENON_OP_RMS_NORM,           "rms_norm", kInputs, kOutputs,
                                 sizeof(tenon_attr_rms_norm), infer,      run,     decompose};

}  // namespace tenon::ops
