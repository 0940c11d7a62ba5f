// ROPE_KV_WRITE and PAGED_ATTN.
#include <algorithm>

#include "backends/vulkan/builder.h"
#include "shaders/attention/params.h"
#include "shaders/rope/params.h"

namespace tenon::vulkan {
namespace {

constexpr uint32_t kHeldFloats = 512; // of query rows and sums in one invocation

bool on_cpu(const Builder& b) noexcept { return b.features().kind == TENON_DEVICE_CPU; }

uint32_t kv_type(uint32_t dtype) noexcept {
    switch (dtype) {
        case TENON_F16: return TENON_KV_F16;
        case TENON_BF16: return TENON_KV_BF16;
        case TENON_F8_E4M3: return TENON_KV_F8_E4M3;
        case TENON_F8_E5M2: return TENON_KV_F8_E5M2;
        case TENON_I8: return TENON_KV_I8;
        default: return TENON_KV_F32;
    }
}

Place layer_place(const Builder& b, const KvPool& kv, uint32_t layer) noexcept {
    return b.memory(kv.layers[layer], uint64_t{kv.desc.n_blocks} * kv.layer_block_bytes);
}

} // namespace

sdk::Status record_rope(Builder& b) {
    const Node& node = b.node();
    const KvPool& kv = *b.exec().kv;
    const auto& attr = node.attr<tenon_attr_rope_kv_write>();
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("rope", "plain", &variant));
    const uint32_t local = on_cpu(b) ? 8 : 32;
    Draft draft(*variant);
    draft.constant(TENON_ROPE_SPEC_LOCAL, local);
    draft.constant(TENON_ROPE_SPEC_STYLE, attr.style);
    draft.constant(TENON_ROPE_SPEC_KV, kv_type(kv.desc.dtype));
    const tenon_dim& rows = b.rows_of(node.in[0]);
    draft.grid(rows, fixed_groups(uint64_t{attr.n_q_heads} + 2 * uint64_t{attr.n_kv_heads}, local),
               groups_over(rows));
    draft.reports();
    b.read(draft, TENON_ROPE_Q, node.in[0]);
    b.read(draft, TENON_ROPE_K, node.in[1]);
    b.read(draft, TENON_ROPE_V, node.in[2]);
    b.read(draft, TENON_ROPE_POSITIONS, node.in[3]);
    b.read(draft, TENON_ROPE_KV_SLOT, node.in[4]);
    b.read(draft, TENON_ROPE_INV_FREQ, node.in[5]);
    draft.bind(TENON_ROPE_KV, layer_place(b, kv, attr.layer), true);
    b.read(draft, TENON_ROPE_Q_GAIN_AT, node.in[7]);
    b.read(draft, TENON_ROPE_K_GAIN_AT, node.in[8]);
    b.write(draft, TENON_ROPE_Q_OUT, node.out[0]);
    shaders::RopeParams params{};
    params.n_q_heads = attr.n_q_heads;
    params.n_kv_heads = attr.n_kv_heads;
    params.dim_k = attr.dim_k;
    params.dim_v = attr.dim_v;
    params.rope_dim = attr.rope_dim;
    params.block_tokens = kv.desc.block_tokens;
    params.n_blocks = kv.desc.n_blocks;
    params.flags = (node.in[7] != TENON_NONE ? TENON_ROPE_Q_GAIN : 0u) |
                   (node.in[8] != TENON_NONE ? TENON_ROPE_K_GAIN : 0u);
    params.mscale = attr.mscale;
    params.epsilon = attr.qk_norm_epsilon;
    return b.add(std::move(draft), params);
}

sdk::Status record_attention(Builder& b) {
    const Node& node = b.node();
    const KvPool& kv = *b.exec().kv;
    const auto& attr = node.attr<tenon_attr_paged_attn>();
    const tenon_dim& tokens = b.rows_of(node.in[0]);
    tenon_dim sequences = b.rows_of(node.in[4]); // of q_start: one more than there are sequences
    sequences.add -= 1;
    const int64_t tokens_max = b.rows_max(node.in[0]);
    const int64_t sequences_max = b.rows_max(node.in[4]) - 1;
    const uint32_t group = attr.n_q_heads / attr.n_kv_heads;
    const uint32_t held = std::max(1u, kHeldFloats / (attr.dim_k + attr.dim_v));
    // Eight lanes give what `rows` gives, so that buckets may differ; the device's kind does not.
    const bool by_lanes = tokens_max <= 2 * sequences_max;
    const shaders::ShaderVariant* variant = nullptr;
    if (!by_lanes || !b.find("attention", "lanes", &variant).ok())
        TENON_SDK_CHECK(b.find("attention", "rows", &variant));
    const bool lanes = variant->name[0] == 'l';
    constexpr uint32_t kLocal = 8;
    const auto rows_of_lanes = [&] {
        for (uint32_t rows : {3u, 2u})
            if (rows <= held && group % rows == 0) return rows;
        return 1u;
    };
    const uint32_t wide = lanes ? rows_of_lanes() : held >= 4 && tokens_max >= 4 ? 4u : held >= 2 && tokens_max >= 2 ? 2u : 1u;
    Draft draft(*variant);
    draft.constant(TENON_ATTENTION_SPEC_LOCAL, kLocal);
    draft.constant(TENON_ATTENTION_SPEC_KV, kv_type(kv.desc.dtype));
    draft.constant(TENON_ATTENTION_SPEC_DIM_K, attr.dim_k);
    draft.constant(TENON_ATTENTION_SPEC_DIM_V, attr.dim_v);
    draft.constant(TENON_ATTENTION_SPEC_ROWS, wide);
    if (lanes) {
        draft.grid(tokens,
                   fixed_groups(uint64_t{attr.n_kv_heads} * ((group + wide - 1) / wide), 1),
                   groups_over(tokens));
    } else {
        draft.grid(tokens, fixed_groups(attr.n_q_heads, kLocal), groups_over(tokens, wide));
    }
    draft.reports();
    b.read(draft, TENON_ATTENTION_Q, node.in[0]);
    draft.bind(TENON_ATTENTION_KV, layer_place(b, kv, attr.layer), false);
    b.read(draft, TENON_ATTENTION_BLOCK_TABLE, node.in[2]);
    b.read(draft, TENON_ATTENTION_KV_LEN, node.in[3]);
    b.read(draft, TENON_ATTENTION_Q_START, node.in[4]);
    b.read(draft, TENON_ATTENTION_SINKS_AT, node.in[5]);
    b.write(draft, TENON_ATTENTION_O, node.out[0]);
    shaders::AttentionParams params{};
    params.sequences_word = b.extent_word(sequences);
    params.table_width = static_cast<uint32_t>(b.value(node.in[2]).cols);
    params.n_q_heads = attr.n_q_heads;
    params.n_kv_heads = attr.n_kv_heads;
    params.block_tokens = kv.desc.block_tokens;
    params.n_blocks = kv.desc.n_blocks;
    params.window = attr.window > 0 ? static_cast<uint32_t>(attr.window) : 0;
    params.flags = node.in[5] != TENON_NONE ? TENON_ATTENTION_SINKS : 0u;
    params.scale = attr.scale;
    params.softcap = attr.softcap;
    return b.add(std::move(draft), params);
}

} // namespace tenon::vulkan
