#include <tenon/reference/sample.h>

#include "core/ops/op.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kLogits, kTemperature, kTopK, kTopP, kMinP, kSeed, kPosition, kMask };
constexpr Port kInputs[] = {{"logits"}, {"temperature"}, {"top_k"},    {"top_p"},
                            {"min_p"},  {"seed"},        {"position"}, {"mask", true}};
constexpr Port kOutputs[] = {{"token"}, {"logprob", true}};

Result<std::vector<ValueType>> infer(const NodeView& node) {
    TENON_CHECK(node.expect_type(kLogits, TENON_F32, 2));
    constexpr tenon_dtype kTypes[] = {TENON_F32, TENON_F32, TENON_I32, TENON_F32,
                                      TENON_F32, TENON_U64, TENON_I32};
    for (uint32_t port = kTemperature; port <= kPosition; ++port) {
        TENON_CHECK(node.expect_type(port, kTypes[port], 1));
        TENON_CHECK(node.expect_equal(port, 0, kLogits, 0));
    }
    const Dim vocabulary = node.dim(kLogits, 1);
    if (vocabulary.symbol != TENON_NONE) return node.error("the vocabulary must be a constant");
    if (node.has(kMask)) {
        TENON_CHECK(node.expect_type(kMask, TENON_U32, 2));
        TENON_CHECK(node.expect_equal(kMask, 0, kLogits, 0));
        TENON_CHECK(node.expect_extent(kMask, 1, (vocabulary.add + 31) / 32, "vocabulary / 32"));
    }
    const Dim rows = node.dim(kLogits, 0);
    return std::vector<ValueType>{{TENON_I32, {rows}}, {TENON_F32, {rows}}};
}

Status run(const RunArgs& args) {
    const HostArray& logits = args.inputs[kLogits];
    const int64_t vocabulary = logits.dims[1];
    for (int64_t row = 0; row < logits.dims[0]; ++row) {
        reference::SampleParams how;
        how.temperature = args.inputs[kTemperature].f32()[row];
        how.top_k = args.inputs[kTopK].i32()[row];
        how.top_p = args.inputs[kTopP].f32()[row];
        how.min_p = args.inputs[kMinP].f32()[row];
        how.seed = args.inputs[kSeed].as<const uint64_t>()[row];
        how.position = args.inputs[kPosition].i32()[row];
        if (args.inputs[kMask].data != nullptr) {
            how.mask = args.inputs[kMask].as<const uint32_t>() + row * ((vocabulary + 31) / 32);
        }
        const reference::Sampled drawn =
            reference::sample(logits.f32() + row * vocabulary, vocabulary, how);
        args.outputs[0].as<int32_t>()[row] = drawn.token;
        if (args.outputs[1].data != nullptr) args.outputs[1].as<float>()[row] = drawn.logprob;
    }
    return {};
}

}  // namespace

constinit const OpDef kSampleOp{TENON_OP_SAMPLE,           "sample", kInputs, kOutputs,
                                sizeof(tenon_attr_sample), infer,    run,     nullptr};

}  // namespace tenon::ops
