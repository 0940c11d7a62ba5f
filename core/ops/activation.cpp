#include <tenon/reference/activation.h>

#include <fmt/format.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

constexpr Port kInputs[] = {{"x"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(0, TENON_F32, node.input(0).rank));
    const uint32_t kind = node.attr<tenon_attr_activation>().activation;
    if (kind > TENON_ACT_GELU_ERF) return node.error(fmt::format("activation {} is unknown", kind));
    return std::vector<ValueType>{{TENON_F32, node.dims(0)}};
}

Status run(const RunArgs& args) {
    reference::activation(args.inputs[0].f32(), args.inputs[0].count(),
                          args.node.attr<tenon_attr_activation>().activation,
                          args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kActivationOp{TENON_OP_ACTIVATION,           "activation", kInputs, kOutputs,
                                    sizeof(tenon_attr_activation), infer,        run,     nullptr};

}  // namespace tenon::ops
