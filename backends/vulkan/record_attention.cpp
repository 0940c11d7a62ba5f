// ROPE_KV_WRITE and PAGED_ATTN.
#include <algorithm>

#include "backends/vulkan/builder.h"
#include "shaders/attention/params.h"
#include "shaders/rope/params.h"

namespace tenon::vulkan {
namespace {

// Of query rows and sums in one invocation. On lavapipe, heads of 64: 256 compile in 1 s, 512 in 2.7 s,
// 1024 in 10 s; a prompt of 512 tokens takes 30, 45 and 58 % less time than with 128.
constexpr uint32_t kHeldFloats = 256;

Place layer_place(const Builder& b, const KvPool& kv, uint32_t layer) noexcept {
    return b.memory(kv.layers[layer], uint64_t{kv.desc.n_blocks} * kv.layer_block_bytes);
}

// Which shader attends in a bucket.
struct Way {
    const shaders::ShaderVariant* variant = nullptr;
    uint32_t local = 8;
    bool lanes = false;
};

// Iterations of all loops of one invocation, with room for those that look for its sequence.
constexpr uint64_t kLoopsMost = 60000;
// Of them, for eight positions: in `rows` for each of an invocation's rows, and in `lanes`.
constexpr uint64_t kRowsLoops = 17;
constexpr uint64_t kLanesLoops = 2;

// A CPU's driver takes one invocation for each query head of a token, as many workgroups as there are
// eights of heads, of even size, and at least two: threads share them. A GPU takes 32 lanes for each.
sdk::Status choose_way(const Builder& b, uint32_t heads, Way* way) {
    const Features& features = b.features();
    way->variant = b.exec().device->kernels.forced("attention");
    if (way->variant == nullptr && features.gpu) {
        way->local = 32;
        const bool exact = features.subgroup_size == way->local &&
                           features.subgroup_size_min == features.subgroup_size_max;
        if (!exact || !b.find("attention", "lanes_subgroup", &way->variant).ok())
            way->variant = b.exec().device->kernels.named("attention", "lanes");
    }
    if (way->variant == nullptr) {
        const uint32_t groups = std::max(2u, (heads + 7) / 8);
        way->local = (heads + groups - 1) / groups;
        TENON_SDK_CHECK(b.find("attention", "rows", &way->variant));
    }
    way->lanes = way->variant->name[0] == 'l';
    return {};
}

// Query rows of an invocation, or of a workgroup of lanes.
uint32_t choose_rows(const tenon_attr_paged_attn& attr, bool lanes, int64_t tokens) noexcept {
    const uint32_t held = std::clamp(kHeldFloats / (attr.dim_k + attr.dim_v), 1u,
                                     static_cast<uint32_t>(TENON_ATTENTION_ROWS_MAX));
    const uint32_t group = attr.n_q_heads / attr.n_kv_heads;
    const auto most = static_cast<uint32_t>(std::min<int64_t>(lanes ? group : tokens, held));
    uint32_t rows = std::max(most, 1u);
    while (lanes && group % rows != 0)
        --rows;
    return rows;
}

// Where the device is the host's processor, what an invocation may look at is limited (see
// shaders/README.md): a context beyond what `rows` reaches takes fewer rows, then lanes of 8, which give
// the same bits.
sdk::Status fit_context(const Builder& b, uint64_t positions, Way* way, uint32_t* wide,
                        const tenon_attr_paged_attn& attr) {
    if (b.features().kind != TENON_DEVICE_CPU) return {};
    const uint64_t eights = positions / 8 + 2;
    if (!way->lanes) {
        const uint64_t rows = kLoopsMost / (eights * kRowsLoops);
        if (rows >= *wide) return {};
        if (rows != 0) {
            *wide = static_cast<uint32_t>(rows);
            return {};
        }
        way->variant = b.exec().device->kernels.named("attention", "lanes");
        way->lanes = true;
        way->local = 8;
        *wide = choose_rows(attr, true, 1);
    }
    if (way->variant != nullptr && eights * kLanesLoops <= kLoopsMost) return {};
    return sdk::fail(
        TENON_UNSUPPORTED,
        "A token sees up to %llu positions, this device looks at no more than %llu.",
        static_cast<unsigned long long>(positions),
        static_cast<unsigned long long>(
            (kLoopsMost / (way->variant == nullptr ? kRowsLoops : kLanesLoops) - 2) * 8));
}

}  // namespace

sdk::Status record_rope(Builder& b) {
    const Node& node = b.node();
    const KvPool& kv = *b.exec().kv;
    const auto& attr = node.attr<tenon_attr_rope_kv_write>();
    const shaders::ShaderVariant* variant = nullptr;
    TENON_SDK_CHECK(b.find("rope", "plain", &variant));
    const uint32_t local = b.features().gpu ? 32 : 8;
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
    tenon_dim sequences = b.rows_of(node.in[4]);  // of q_start: one more than there are sequences
    sequences.add -= 1;
    const int64_t tokens_max = b.rows_max(node.in[0]);
    const int64_t sequences_max = b.rows_max(node.in[4]) - 1;
    const uint32_t group = attr.n_q_heads / attr.n_kv_heads;
    Way way;
    TENON_SDK_CHECK(choose_way(b, attr.n_q_heads, &way));
    // With about one token a sequence, tokens of a row would wait for each other.
    const bool few = tokens_max <= 2 * sequences_max;
    uint32_t wide = choose_rows(attr, way.lanes, few ? 1 : tokens_max);
    uint64_t positions = b.value(node.in[2]).cols * kv.desc.block_tokens;
    if (attr.window > 0) positions = std::min(positions, static_cast<uint64_t>(attr.window) + wide);
    TENON_SDK_CHECK(fit_context(b, positions, &way, &wide, attr));
    Draft draft(*way.variant);
    draft.constant(TENON_ATTENTION_SPEC_LOCAL, way.local);
    draft.constant(TENON_ATTENTION_SPEC_KV, kv_type(kv.desc.dtype));
    draft.constant(TENON_ATTENTION_SPEC_DIM_K, attr.dim_k);
    draft.constant(TENON_ATTENTION_SPEC_DIM_V, attr.dim_v);
    draft.constant(TENON_ATTENTION_SPEC_ROWS, wide);
    if (way.lanes) {
        draft.grid(tokens, fixed_groups(uint64_t{attr.n_kv_heads} * ((group + wide - 1) / wide), 1),
                   groups_over(tokens));
    } else {
        draft.grid(tokens, fixed_groups(attr.n_q_heads, way.local), groups_over(tokens, wide));
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

}  // namespace tenon::vulkan
