// Phases whose rows are independent: each thread takes a share of them.
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

Share my_rows(const Exec& exec, uint32_t value, uint32_t thread) noexcept {
    return share(static_cast<uint64_t>(exec.rows[value]), thread, exec.device->pool->threads());
}

} // namespace

void run_norm(Exec& exec, const Phase& phase, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const auto& attr = node.attr<tenon_attr_rms_norm>();
    const Value& y = exec.values[node.out[0]];
    const bool repeated = y.per_thread && exec.small(node.out[0]);
    const Share mine = repeated ? Share{0, static_cast<uint32_t>(exec.rows[node.out[0]])}
                                : my_rows(exec, node.out[0], thread);
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
    for (uint32_t row = mine.begin; row < mine.end; ++row) {
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

void run_quantise(Exec& exec, const Phase& phase, uint32_t thread) {
    const Share mine = my_rows(exec, phase.subject, thread);
    quantise_rows(exec, phase.subject, exec.floats(phase.subject, thread), mine.begin, mine.end, 0,
                  static_cast<uint32_t>(exec.values[phase.subject].cols / kernels::kBlockCols),
                  thread);
}

void run_embed(Exec& exec, const Phase& phase, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const WeightEntry& table = *node.weights[0];
    const float scale = node.attr<tenon_attr_embed>().scale;
    const int32_t* ids = exec.indices(node.in[1]);
    float* y = exec.floats(node.out[0], thread);
    const Share mine = my_rows(exec, node.out[0], thread);
    for (uint64_t t = mine.begin; t < mine.end; ++t) {
        float* row = y + t * table.cols;
        kernels::unpack_row(table.format, table.packed, table.cols, static_cast<uint32_t>(ids[t]),
                            row);
        if (scale == 1.0f) continue;
        for (uint32_t c = 0; c < table.cols; ++c) row[c] *= scale;
    }
}

void run_gather(Exec& exec, const Phase& phase, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const uint64_t cols = exec.values[node.out[0]].cols;
    const float* x = exec.floats(node.in[0], thread);
    float* y = exec.floats(node.out[0], thread);
    const int32_t* rows = exec.indices(node.in[1]);
    const Share mine = my_rows(exec, node.out[0], thread);
    for (uint64_t r = mine.begin; r < mine.end; ++r)
        std::memcpy(y + r * cols, x + static_cast<uint64_t>(rows[r]) * cols, cols * sizeof(float));
}

void run_elementwise(Exec& exec, const Phase& phase, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const kernels::ElementwiseEntry& k = *exec.device->kernels.elementwise;
    const uint64_t cols = exec.values[node.out[0]].cols;
    const Share mine = my_rows(exec, node.out[0], thread);
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

void run_pool(Exec& exec, const Phase& phase, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    const uint64_t cols = exec.values[node.out[0]].cols;
    const Share mine = my_rows(exec, node.out[0], thread);
    if (mine.begin == mine.end) return;
    reference::pool_rows(exec.floats(node.in[0], thread), static_cast<int64_t>(cols),
                         exec.indices(node.in[1]) + mine.begin, mine.end - mine.begin,
                         node.attr<tenon_attr_pool_rows>().kind,
                         exec.floats(node.out[0], thread) + mine.begin * cols);
}

} // namespace tenon::cpu
