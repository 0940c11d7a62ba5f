// Phases whose rows are independent: a unit is a share of them.
#include <tenon/reference/pool_rows.h>

#include "backends/cpu/exec.h"

namespace tenon::cpu {

void quantise_rows(const Exec& exec, uint32_t value, const float* floats, uint32_t begin,
                   uint32_t end, uint32_t block_begin, uint32_t block_end,
                   uint32_t thread) noexcept {
    if (!exec.values[value].as_codes) return;
    const uint64_t cols = exec.values[value].cols;
    kernels::QuantiseArgs q{};
    q.x = floats + begin * cols + uint64_t{block_begin} * kernels::kBlockCols;
    q.x_stride = cols;
    q.out = exec.codes(value, thread);
    q.row_blocks = static_cast<uint32_t>(cols / kernels::kBlockCols);
    q.token_begin = begin;
    q.token_end = end;
    q.block_begin = block_begin;
    q.block_end = block_end;
    exec.device->kernels.quantise(q);
}

namespace {

constexpr int64_t kUnitsPerThread = 4;

uint32_t row_units(const Exec& exec, uint32_t value) noexcept {
    const int64_t most = int64_t{exec.device->pool->threads()} * kUnitsPerThread;
    return static_cast<uint32_t>(exec.rows[value] < most ? exec.rows[value] : most);
}

uint32_t output_units(const Exec& exec, const Phase& phase) {
    return row_units(exec, exec.nodes[phase.nodes[0]].out[0]);
}

Share my_rows(const Exec& exec, uint32_t value, uint32_t unit, uint32_t units) noexcept {
    return share(static_cast<uint64_t>(exec.rows[value]), unit, units);
}

// Rows [begin, end) of a norm, as floats, codes or both.
void norm_rows(const Exec& exec, const Node& node, uint32_t begin, uint32_t end, uint32_t thread) {
    const auto& attr = node.attr<tenon_attr_rms_norm>();
    const Value& y = exec.values[node.out[0]];
    const uint32_t cols = static_cast<uint32_t>(y.cols);
    kernels::NormArgs a{};
    a.gain = exec.floats(node.in[1], thread);
    a.row_end = 1;
    a.cols = cols;
    a.epsilon = attr.epsilon;
    a.gain_offset = attr.gain_offset;
    const float* x = exec.floats(node.in[0], thread);
    const float* residual = exec.optional(node.in[2], thread);
    float* sum = node.out[1] == TENON_NONE ? nullptr : exec.floats(node.out[1], thread);
    for (uint32_t row = begin; row < end; ++row) {
        const uint64_t at = uint64_t{row} * cols;
        a.x = x + at;
        a.residual = residual == nullptr ? nullptr : residual + at;
        a.sum = sum == nullptr ? nullptr : sum + at;
        a.y = y.as_float ? exec.floats(node.out[0], thread) + at : exec.row_scratch(thread);
        exec.device->kernels.rms_norm(a);
        if (!y.as_codes) continue;
        kernels::QuantiseArgs q{};
        q.x = a.y;
        q.out = exec.codes(node.out[0], thread);
        q.row_blocks = cols / kernels::kBlockCols;
        q.token_begin = row;
        q.token_end = row + 1;
        q.block_end = q.row_blocks;
        exec.device->kernels.quantise(q);
    }
}

uint32_t norm_units(const Exec& exec, const Phase& phase) {
    const uint32_t value = exec.nodes[phase.nodes[0]].out[0];
    // Computed by ensure() in the threads that read it.
    if (exec.values[value].per_thread && exec.small(value)) return 0;
    return row_units(exec, value);
}

void run_norm(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const Share mine = my_rows(exec, node.out[0], unit, units);
    norm_rows(exec, node, mine.begin, mine.end, thread);
}

uint32_t quantise_units(const Exec& exec, const Phase& phase) {
    return row_units(exec, phase.subject);
}

void run_quantise(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Share mine = my_rows(exec, phase.subject, unit, units);
    quantise_rows(exec, phase.subject, exec.floats(phase.subject, thread), mine.begin, mine.end, 0,
                  static_cast<uint32_t>(exec.values[phase.subject].cols / kernels::kBlockCols),
                  thread);
}

void run_embed(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const WeightEntry& table = *node.weights[0];
    const float scale = node.attr<tenon_attr_embed>().scale;
    const int32_t* ids = exec.indices(node.in[1]);
    float* y = exec.floats(node.out[0], thread);
    const Share mine = my_rows(exec, node.out[0], unit, units);
    for (uint64_t t = mine.begin; t < mine.end; ++t) {
        float* row = y + t * table.cols;
        kernels::unpack_row(table.layout, table.packed, table.cols, static_cast<uint32_t>(ids[t]),
                            row);
        if (scale == 1.0f) continue;
        for (uint32_t c = 0; c < table.cols; ++c)
            row[c] *= scale;
    }
}

void run_gather(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const uint64_t cols = exec.values[node.out[0]].cols;
    const float* x = exec.floats(node.in[0], thread);
    float* y = exec.floats(node.out[0], thread);
    const int32_t* rows = exec.indices(node.in[1]);
    const Share mine = my_rows(exec, node.out[0], unit, units);
    for (uint64_t r = mine.begin; r < mine.end; ++r)
        std::memcpy(y + r * cols, x + static_cast<uint64_t>(rows[r]) * cols, cols * sizeof(float));
}

void run_elementwise(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units,
                     uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const kernels::ElementwiseEntry& k = *exec.device->kernels.elementwise;
    const uint64_t cols = exec.values[node.out[0]].cols;
    const Share mine = my_rows(exec, node.out[0], unit, units);
    kernels::ElementwiseArgs a{};
    a.x = exec.floats(node.in[0], thread) + mine.begin * cols;
    a.out = exec.floats(node.out[0], thread) + mine.begin * cols;
    a.count = uint64_t{mine.end - mine.begin} * cols;
    if (node.op == TENON_OP_ACTIVATION) {
        a.activation =
            static_cast<kernels::Activation>(node.attr<tenon_attr_activation>().activation);
        return k.activate(a);
    }
    if (node.op == TENON_OP_SOFTCAP) {
        a.cap = node.attr<tenon_attr_softcap>().cap;
        return k.softcap(a);
    }
    const kernels::ElementwiseFn apply = node.op == TENON_OP_ADD ? k.add : k.mul;
    const float* other = exec.floats(node.in[1], thread);
    const Value& b = exec.values[node.in[1]];
    if (b.rank == exec.values[node.in[0]].rank) {
        a.other = other + mine.begin * cols;
        return apply(a);
    }
    // One row of numbers for all rows: the last dimension.
    const uint64_t width = static_cast<uint64_t>(exec.rows[node.in[1]]) * b.cols;
    const uint64_t count = a.count;
    a.other = other;
    a.count = width;
    for (uint64_t at = 0; at < count; at += width) {
        apply(a);
        a.x += width;
        a.out += width;
    }
}

void run_pool(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const uint64_t cols = exec.values[node.out[0]].cols;
    const Share mine = my_rows(exec, node.out[0], unit, units);
    if (mine.begin == mine.end) return;
    reference::pool_rows(exec.floats(node.in[0], thread), static_cast<int64_t>(cols),
                         exec.indices(node.in[1]) + mine.begin, mine.end - mine.begin,
                         node.attr<tenon_attr_pool_rows>().kind,
                         exec.floats(node.out[0], thread) + mine.begin * cols);
}

}  // namespace

void ensure(Exec& exec, uint32_t value, uint32_t thread) {
    if (!exec.values[value].per_thread || !exec.small(value)) return;
    uint64_t& computed = exec.computed_at[thread * exec.values.size() + value];
    if (computed == exec.step) return;
    computed = exec.step;
    norm_rows(exec, exec.nodes[exec.values[value].producer], 0,
              static_cast<uint32_t>(exec.rows[value]), thread);
}

const PhaseKind kNormPhase = {norm_units, run_norm};
const PhaseKind kQuantisePhase = {quantise_units, run_quantise};
const PhaseKind kEmbedPhase = {output_units, run_embed};
const PhaseKind kGatherPhase = {output_units, run_gather};
const PhaseKind kElementwisePhase = {output_units, run_elementwise};
const PhaseKind kPoolPhase = {output_units, run_pool};

}  // namespace tenon::cpu
