// SAMPLE: a workgroup for each row of logits, one dispatch for all that are bound at once.
#include "backends/vulkan/builder.h"
#include "shaders/sample/params.h"

namespace tenon::vulkan {

sdk::Status record_sample(Builder& b) {
    const Node& node = b.node();
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("sample", "row", &variant));
    uint32_t lanes = SAMPLE_LANES;
    while (lanes > b.features().group_invocations || lanes > b.features().group_size[0])
        lanes /= 2;
    constexpr uint32_t kWhole[] = {SAMPLE_TEMPERATURE, SAMPLE_TOP_K,    SAMPLE_TOP_P, SAMPLE_MIN_P,
                                   SAMPLE_SEED,        SAMPLE_POSITION, SAMPLE_MASK};
    std::vector<Window> windows;
    TENON_SDK_CHECK(b.cut_rows({node.in[0]}, &windows));
    for (const Window& window : windows) {
        Draft draft(*variant);
        draft.constant(SAMPLE_SPEC_LANES, lanes);
        const tenon_dim rows = rows_in(b.rows_of(node.out[0]), window);
        draft.grid(rows, groups_over(rows, 1, window));
        draft.window(window);
        b.read_rows(draft, SAMPLE_LOGITS, node.in[0], window);
        for (uint32_t port = 1; port < 8; ++port)
            b.read(draft, kWhole[port - 1], node.in[port]);
        b.write(draft, SAMPLE_TOKEN, node.out[0]);
        b.write(draft, SAMPLE_LOGPROB, node.out[1]);
        shaders::SampleParams params{};
        params.vocabulary = static_cast<uint32_t>(b.value(node.in[0]).cols);
        params.mask_words = node.in[7] != TENON_NONE ? (params.vocabulary + 31) / 32 : 0;
        params.first_row = static_cast<uint32_t>(window.first);
        params.flags = node.out[1] != TENON_NONE ? SAMPLE_HAS_LOGPROB : 0u;
        TENON_SDK_CHECK(b.add(std::move(draft), params));
    }
    return {};
}

}  // namespace tenon::vulkan
