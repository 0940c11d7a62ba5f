// SAMPLE: a workgroup for each row of logits.
#include "backends/vulkan/builder.h"
#include "shaders/sample/params.h"

namespace tenon::vulkan {

sdk::Status record_sample(Builder& b) {
    const Node& node = b.node();
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("sample", "row", &variant));
    uint32_t lanes = SAMPLE_LANES;
    while (lanes > b.features().group_invocations || lanes > b.features().group_size[0]) lanes /= 2;
    Draft draft(*variant);
    draft.constant(SAMPLE_SPEC_LANES, lanes);
    const tenon_dim& rows = b.rows_of(node.out[0]);
    draft.grid(rows, groups_over(rows));
    constexpr uint32_t kInputs[] = {SAMPLE_LOGITS, SAMPLE_TEMPERATURE, SAMPLE_TOP_K,
                                    SAMPLE_TOP_P,  SAMPLE_MIN_P,       SAMPLE_SEED,
                                    SAMPLE_POSITION, SAMPLE_MASK};
    for (uint32_t port = 0; port < 8; ++port) b.read(draft, kInputs[port], node.in[port]);
    b.write(draft, SAMPLE_TOKEN, node.out[0]);
    b.write(draft, SAMPLE_LOGPROB, node.out[1]);
    shaders::SampleParams params{};
    params.vocabulary = static_cast<uint32_t>(b.value(node.in[0]).cols);
    params.mask_words = node.in[7] != TENON_NONE ? (params.vocabulary + 31) / 32 : 0;
    params.flags = node.out[1] != TENON_NONE ? SAMPLE_HAS_LOGPROB : 0u;
    return b.add(std::move(draft), params);
}

} // namespace tenon::vulkan
