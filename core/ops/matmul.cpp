#include <tenon/reference/matmul.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kX, kW, kBias, kResidual };
constexpr Port kInputs[] = {{"x"}, {"w"}, {"bias", true}, {"residual", true}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kX, TENON_F32, 2));
    TENON_CHECK(node.expect_weight(kW));
    TENON_CHECK(node.expect_equal(kX, 1, kW, 1));
    if (node.has(kBias)) {
        TENON_CHECK(node.expect_type(kBias, TENON_F32, 1));
        TENON_CHECK(node.expect_equal(kBias, 0, kW, 0));
    }
    if (node.has(kResidual)) {
        TENON_CHECK(node.expect_type(kResidual, TENON_F32, 2));
        TENON_CHECK(node.expect_equal(kResidual, 0, kX, 0));
        TENON_CHECK(node.expect_equal(kResidual, 1, kW, 0));
    }
    return std::vector<ValueType>{{TENON_F32, {node.dim(kX, 0), node.dim(kW, 0)}}};
}

Status run(const RunArgs& args) {
    const HostArray& x = args.inputs[kX];
    const HostArray& w = args.inputs[kW];
    reference::matmul(x.f32(), w.f32(), args.inputs[kBias].f32(), args.inputs[kResidual].f32(),
                      x.dims[0], w.dims[0], w.dims[1], args.node.attr<tenon_attr_matmul>().alpha,
                      args.outputs[0].as<float>());
    return {};
}

std::vector<ValueId> decompose(const NodeView& node, std::span<const ValueId> inputs,
                               ProgramBuilder& to) {
    if (!node.has(kBias) && !node.has(kResidual)) return {};
    const std::string name(text_of(node.node().name));
    ValueId y = to.matmul(name, inputs[kX], inputs[kW], kNoValue, kNoValue,
                          node.attr<tenon_attr_matmul>().alpha);
    if (node.has(kBias)) y = to.add(name + ".bias", y, inputs[kBias]);
    if (node.has(kResidual)) y = to.add(name + ".residual", y, inputs[kResidual]);
    return {y};
}

}  // namespace

constinit const OpDef kMatmulOp{TENON_OP_MATMUL,           "matmul", kInputs, kOutputs,
                                sizeof(tenon_attr_matmul), infer,    run,     decompose};

}  // namespace tenon::ops
