// ROPE_KV_WRITE and PAGED_ATTN.
#include <algorithm>

#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

constexpr uint32_t kChunkTokens = 16;  // tokens of one unit of a large attention

// Norm with gain (optional) and rotation of all heads of one token.
void prepare_heads(const Exec& exec, const float* x, const float* gain, uint32_t heads,
                   const tenon_attr_rope_kv_write& attr, const RopeTable& table, uint64_t token,
                   float* out) {
    const KernelTable& k = exec.device->kernels;
    if (gain != nullptr) {
        kernels::NormArgs n{};
        n.x = x;
        n.gain = gain;
        n.y = out;
        n.x_stride = n.y_stride = attr.dim_k;
        n.row_end = heads;
        n.cols = attr.dim_k;
        n.epsilon = attr.qk_norm_epsilon;
        k.rms_norm(n);
        x = out;
    }
    k.rope({x, out, table.data + token * 2 * table.rope_dim, heads, attr.dim_k, table.rope_dim,
            table.style});
}

// One sequence's part of a step.
struct Chunk {
    uint32_t sequence, first_token, count, first_position;
};

// Calls visit(chunk, row) for each non-empty sequence.
template <class Visit>
void for_sequences(const Exec& exec, const Node& node, const Visit& visit) {
    const int32_t* starts = exec.indices(node.in[4]);
    const int32_t* lengths = exec.indices(node.in[3]);
    const int64_t sequences = exec.rows[node.in[4]] - 1;
    for (int64_t s = 0; s < sequences; ++s) {
        const uint32_t count = static_cast<uint32_t>(starts[s + 1] - starts[s]);
        if (count == 0) continue;
        visit(Chunk{static_cast<uint32_t>(s), static_cast<uint32_t>(starts[s]), count,
                    static_cast<uint32_t>(lengths[s]) - count});
    }
}

// Tokens [token_begin, token_end) of a chunk, query heads [head_begin, head_end), which may span
// KV heads; then their codes.
void attend(const Exec& exec, const Node& node, uint32_t thread, const Chunk& chunk,
            uint32_t token_begin, uint32_t token_end, uint32_t head_begin, uint32_t head_end) {
    const auto& attr = node.attr<tenon_attr_paged_attn>();
    const KvPool& kv = *exec.kv;
    const uint32_t heads_per_kv = attr.n_q_heads / attr.n_kv_heads;
    float* out = exec.floats(node.out[0], thread);
    kernels::AttentionArgs a{};
    a.q_stride = uint64_t{attr.n_q_heads} * attr.dim_k;
    a.out_stride = uint64_t{attr.n_q_heads} * attr.dim_v;
    a.q = exec.floats(node.in[0], thread) + chunk.first_token * a.q_stride;
    a.out = out + chunk.first_token * a.out_stride;
    a.layer = kv.block(attr.layer, 0);
    a.block_table = exec.indices(node.in[2]) + chunk.sequence * exec.values[node.in[2]].cols;
    a.sinks = exec.optional(node.in[5], thread);
    a.geometry = kv.geometry;
    a.q_heads = attr.n_q_heads;
    a.first_position = chunk.first_position;
    a.token_begin = token_begin;
    a.token_end = token_end;
    a.window = attr.window > 0 ? static_cast<uint32_t>(attr.window) : 0;
    a.scale = attr.scale;
    a.softcap = attr.softcap;
    const kernels::AttentionFn kernel =
        exec.device->kernels.attention[static_cast<size_t>(kv.type)]->attend;
    for (uint32_t head = head_begin; head < head_end;) {
        a.head_begin = head;
        a.head_end = std::min(head_end, (head / heads_per_kv + 1) * heads_per_kv);
        kernel(a);
        head = a.head_end;
    }
    if (attr.dim_v % kernels::kBlockCols == 0) {
        const uint32_t head_blocks = attr.dim_v / kernels::kBlockCols;
        quantise_rows(exec, node.out[0], out, chunk.first_token + token_begin,
                      chunk.first_token + token_end, head_begin * head_blocks,
                      head_end * head_blocks, thread);
    }
}

// Rows of no sequence are zero.
void clear_rest(const Exec& exec, const Node& node, uint32_t thread) {
    const int64_t sequences = exec.rows[node.in[4]] - 1;
    const int64_t begin = sequences < 0 ? 0 : exec.indices(node.in[4])[sequences];
    const int64_t end = exec.rows[node.out[0]];
    if (begin >= end) return;
    const uint64_t cols = exec.values[node.out[0]].cols;
    float* out = exec.floats(node.out[0], thread);
    std::memset(out + static_cast<uint64_t>(begin) * cols, 0,
                static_cast<uint64_t>(end - begin) * cols * sizeof(float));
    if (node.attr<tenon_attr_paged_attn>().dim_v % kernels::kBlockCols == 0)
        quantise_rows(exec, node.out[0], out, static_cast<uint32_t>(begin),
                      static_cast<uint32_t>(end), 0,
                      static_cast<uint32_t>(cols / kernels::kBlockCols), thread);
}

// Units for rows that cost little each.
uint32_t row_units(const Exec& exec, uint32_t value) noexcept {
    const int64_t most = int64_t{exec.device->pool->threads()} * 4;
    return static_cast<uint32_t>(std::min(exec.rows[value], most));
}

uint32_t rope_table_units(const Exec& exec, const Phase& phase) {
    return row_units(exec, exec.rope_tables[phase.subject].positions);
}

void run_rope_table(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units,
                    uint32_t thread) {
    const RopeTable& table = exec.rope_tables[phase.subject];
    const Share mine = share(static_cast<uint64_t>(exec.rows[table.positions]), unit, units);
    kernels::fill_rope_table(exec.indices(table.positions), exec.floats(table.inv_freq, thread),
                             table.rope_dim, table.style, table.mscale, mine.begin, mine.end,
                             table.data);
}

uint32_t rope_units(const Exec& exec, const Phase& phase) {
    return row_units(exec, exec.nodes[phase.nodes[0]].in[0]);
}

void run_rope(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const auto& attr = node.attr<tenon_attr_rope_kv_write>();
    const RopeTable& table = exec.rope_tables[node.rope_table];
    const KvPool& kv = *exec.kv;
    const uint64_t q_row = uint64_t{attr.n_q_heads} * attr.dim_k;
    const uint64_t k_row = uint64_t{attr.n_kv_heads} * attr.dim_k;
    const uint64_t v_row = uint64_t{attr.n_kv_heads} * attr.dim_v;
    const float* q = exec.floats(node.in[0], thread);
    const float* k = exec.floats(node.in[1], thread);
    const float* v = exec.floats(node.in[2], thread);
    float* out = exec.floats(node.out[0], thread);
    float* keys = exec.row_scratch(thread);
    const int32_t* slots = exec.indices(node.in[4]);
    const kernels::KvWriteFn write = exec.device->kernels.kv[static_cast<size_t>(kv.type)]->write;
    const Share mine = share(static_cast<uint64_t>(exec.rows[node.in[0]]), unit, units);
    for (uint64_t t = mine.begin; t < mine.end; ++t) {
        prepare_heads(exec, q + t * q_row, exec.optional(node.in[7], thread), attr.n_q_heads, attr,
                      table, t, out + t * q_row);
        if (slots[t] < 0) continue;
        prepare_heads(exec, k + t * k_row, exec.optional(node.in[8], thread), attr.n_kv_heads, attr,
                      table, t, keys);
        write({keys, v + t * v_row, kv.block(attr.layer, 0), static_cast<uint64_t>(slots[t]),
               kv.geometry});
    }
}

// Tokens of one unit of a large attention, so that a phase never has too many.
uint32_t chunk_tokens(const Exec& exec, const Node& node) noexcept {
    const uint64_t cells = static_cast<uint64_t>(exec.rows[node.in[0]]) *
                           node.attr<tenon_attr_paged_attn>().n_kv_heads;
    return kChunkTokens + static_cast<uint32_t>(cells / kUnitsMax) * 2;
}

uint32_t attention_units(const Exec& exec, const Phase& phase) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const auto& attr = node.attr<tenon_attr_paged_attn>();
    uint32_t units = 0;
    if (exec.small(node.in[0])) {
        for_sequences(exec, node, [&](const Chunk&) { units += attr.n_q_heads; });
        return std::max(1u, std::min(units, exec.device->pool->threads()));
    }
    const uint32_t size = chunk_tokens(exec, node);
    for_sequences(exec, node, [&](const Chunk& chunk) {
        units += (chunk.count + size - 1) / size * attr.n_kv_heads;
    });
    return std::max(1u, units);
}

void run_attention(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const auto& attr = node.attr<tenon_attr_paged_attn>();
    const uint32_t heads = attr.n_q_heads;
    if (unit == 0) clear_rest(exec, node, thread);
    uint32_t first = 0;
    if (exec.small(node.in[0])) {
        // All (sequence, query head) pairs in one line, a piece of it for each unit.
        uint32_t pairs = 0;
        for_sequences(exec, node, [&](const Chunk&) { pairs += heads; });
        const Share mine = share(pairs, unit, units);
        for_sequences(exec, node, [&](const Chunk& chunk) {
            const uint32_t begin = std::max(mine.begin, first);
            const uint32_t end = std::min(mine.end, first + heads);
            if (begin < end)
                attend(exec, node, thread, chunk, 0, chunk.count, begin - first, end - first);
            first += heads;
        });
        return;
    }
    const uint32_t heads_per_kv = attr.n_q_heads / attr.n_kv_heads;
    const uint32_t size = chunk_tokens(exec, node);
    for_sequences(exec, node, [&](const Chunk& chunk) {
        const uint32_t pieces = (chunk.count + size - 1) / size;
        const uint32_t end = first + pieces * attr.n_kv_heads;
        if (unit >= first && unit < end) {
            // Late tokens see most positions and go first.
            const uint32_t piece = pieces - 1 - (unit - first) / attr.n_kv_heads;
            const uint32_t head = (unit - first) % attr.n_kv_heads * heads_per_kv;
            const uint32_t token = piece * size;
            attend(exec, node, thread, chunk, token, std::min(token + size, chunk.count), head,
                   head + heads_per_kv);
        }
        first = end;
    });
}

}  // namespace

const PhaseKind kRopeTablePhase = {rope_table_units, run_rope_table};
const PhaseKind kRopePhase = {rope_units, run_rope};
const PhaseKind kAttentionPhase = {attention_units, run_attention};

}  // namespace tenon::cpu
