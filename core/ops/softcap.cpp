#include <tenon/reference/softcap.h>

#include <fmt/format.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

constexpr Port kInputs[] = {{"x"}};
constexpr Port kOutputs[] = {{"y"}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(0, TENON_F32, node.input(0).rank));
    const float cap = node.attr<tenon_attr_softcap>().cap;
    if (!(cap > 0.0f)) return node.error(fmt::format("the cap is {}; it must be above 0", cap));
    return std::vector<ValueType>{{TENON_F32, node.dims(0)}};
}

Status run(const RunArgs& args) {
    reference::softcap(args.inputs[0].f32(), args.inputs[0].count(),
                       args.node.attr<tenon_attr_softcap>().cap, args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kSoftcapOp{TENON_OP_SOFTCAP,           "softcap", kInputs, kOutputs,
                                 sizeof(tenon_attr_softcap), infer,     run,     nullptr};

}  // namespace tenon::ops
