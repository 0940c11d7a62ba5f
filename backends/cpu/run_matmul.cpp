// Matmuls. Few tokens: a unit is a run of weight rows, read once from start to end. Many tokens: a
// unit is kPanelTokens tokens by some row groups.
#include <algorithm>

#include "backends/cpu/exec.h"

namespace tenon::cpu {
namespace {

constexpr uint32_t kUnitsPerThread = 8;
constexpr uint32_t kSmallUnitsPerThread = 2;

// A grid of units: column `c` is row groups [c * groups, ...), row is a panel of tokens.
struct Grid {
    uint32_t panels, columns, groups;
};

Grid make_grid(uint64_t tokens, uint32_t groups, uint32_t threads) noexcept {
    Grid grid;
    grid.panels = static_cast<uint32_t>((tokens + kPanelTokens - 1) / kPanelTokens);
    const uint32_t wanted =
        std::max(1u, (threads * kUnitsPerThread + grid.panels - 1) / grid.panels);
    grid.groups = std::max(1u, groups / std::min(wanted, groups));
    grid.columns = (groups + grid.groups - 1) / grid.groups;
    return grid;
}

kernels::MatmulArgs matmul_args(const Exec& exec, const Node& node, uint32_t thread) {
    const WeightEntry& w = *node.weights[0];
    const auto& attr = node.attr<tenon_attr_matmul>();
    kernels::MatmulArgs a{};
    a.weights = w.packed;
    a.layout = w.layout;
    a.rows = w.rows;
    a.cols = w.cols;
    if (node.fast)
        a.activations = exec.codes(node.in[0], thread);
    else
        a.x = exec.floats(node.in[0], thread);
    a.x_stride = w.cols;
    a.y = exec.floats(node.out[0], thread);
    a.y_stride = w.rows;
    a.bias = exec.optional(node.in[2], thread);
    a.residual = exec.optional(node.in[3], thread);
    a.residual_stride = w.rows;
    a.alpha = attr.alpha;
    return a;
}

// Groups [begin, end) of the phase's matmuls laid end to end, tokens [token_begin, token_end).
void multiply(const Exec& exec, const Phase& phase, uint32_t thread, uint32_t begin, uint32_t end,
              uint32_t token_begin, uint32_t token_end) {
    uint32_t first = 0;
    for (uint32_t n : phase.nodes) {
        const Node& node = exec.nodes[n];
        const uint32_t groups = kernels::group_count(node.weights[0]->rows);
        const uint32_t from = std::max(begin, first);
        const uint32_t to = std::min(end, first + groups);
        if (from < to) {
            kernels::MatmulArgs a = matmul_args(exec, node, thread);
            a.group_begin = from - first;
            a.group_end = to - first;
            a.token_begin = token_begin;
            a.token_end = token_end;
            node.multiply[0](a);
        }
        first += groups;
    }
}

// Blocks [begin, end) of 32 outputs: gate and up into scratch, then their product.
void multiply_glu(const Exec& exec, const Node& node, uint32_t thread, uint32_t begin, uint32_t end,
                  uint32_t token_begin, uint32_t token_end) {
    const uint32_t tokens = token_end - token_begin;
    // Two blocks at once keep a kernel's register tile full.
    const uint32_t step = tokens > kernels::kTileTokens ? kGluBlocks : 1;
    const uint32_t wide = step * kernels::kBlockCols;
    const uint32_t rows = node.weights[0]->rows;
    float* gate = reinterpret_cast<float*>(exec.thread_memory(thread) + exec.glu_scratch_at);
    float* up = gate + kPanelTokens * wide;
    float* y = exec.values[node.out[0]].as_float ? exec.floats(node.out[0], thread) : nullptr;
    for (uint32_t block = begin; block < end; block += step) {
        const uint32_t row = block * kernels::kBlockCols;
        const uint32_t blocks = std::min(step, end - block);
        const uint32_t count = std::min(blocks * kernels::kBlockCols, rows - row);
        for (uint32_t which = 0; which < 2; ++which) {
            const WeightEntry& w = *node.weights[which];
            kernels::MatmulArgs a{};
            // The kernel counts rows from group 0: shift the weights, not the output.
            a.weights = w.packed + uint64_t{block} * 2 * kernels::group_bytes(w.layout, w.cols);
            a.layout = w.layout;
            a.rows = count;
            a.cols = w.cols;
            if (node.fast) {
                a.activations =
                    exec.codes(node.in[0], thread) +
                    uint64_t{token_begin / kernels::kTileTokens} * (w.cols / kernels::kBlockCols);
            } else {
                a.x = exec.floats(node.in[0], thread) + uint64_t{token_begin} * w.cols;
            }
            a.x_stride = w.cols;
            a.y = which == 0 ? gate : up;
            a.y_stride = wide;
            a.alpha = 1.0f;
            a.group_end = kernels::group_count(count);
            a.token_end = tokens;
            node.multiply[which](a);
        }
        kernels::ElementwiseArgs e{};
        e.x = gate;
        e.other = up;
        e.out = gate;
        e.count = uint64_t{tokens} * wide;
        e.activation =
            static_cast<kernels::Activation>(node.attr<tenon_attr_matmul_glu>().activation);
        exec.device->kernels.elementwise->glu(e);
        if (y != nullptr)
            for (uint32_t t = 0; t < tokens; ++t)
                std::memcpy(y + uint64_t{token_begin + t} * rows + row, gate + t * wide,
                            count * sizeof(float));
        if (exec.values[node.out[0]].as_codes) {
            kernels::QuantiseArgs q{};
            q.x = gate;
            q.x_stride = wide;
            q.out = exec.codes(node.out[0], thread);
            q.row_blocks = rows / kernels::kBlockCols;
            q.token_begin = token_begin;
            q.token_end = token_end;
            q.block_begin = block;
            q.block_end = block + blocks;
            exec.device->kernels.quantise(q);
        }
    }
}

// Row units (groups or blocks) and tokens of one unit of a phase.
struct Piece {
    uint32_t begin, end, token_begin, token_end;
};

uint32_t count_units(const Exec& exec, uint32_t x, uint32_t rows) noexcept {
    const uint32_t threads = exec.device->pool->threads();
    if (exec.rows[x] == 0) return 0;
    if (exec.small(x)) return threads == 1 ? 1 : std::min(rows, threads * kSmallUnitsPerThread);
    const Grid grid = make_grid(static_cast<uint64_t>(exec.rows[x]), rows, threads);
    return grid.panels * grid.columns;
}

Piece find_piece(const Exec& exec, uint32_t x, uint32_t rows, uint32_t unit,
                 uint32_t units) noexcept {
    const uint32_t tokens = static_cast<uint32_t>(exec.rows[x]);
    if (exec.small(x)) {
        const Share mine = share(rows, unit, units);
        return {mine.begin, mine.end, 0, tokens};
    }
    const Grid grid = make_grid(tokens, rows, exec.device->pool->threads());
    const uint32_t begin = unit % grid.columns * grid.groups;
    const uint32_t token = unit / grid.columns * kPanelTokens;
    return {begin, std::min(begin + grid.groups, rows), token,
            std::min(token + kPanelTokens, tokens)};
}

uint32_t all_groups(const Exec& exec, const Phase& phase) noexcept {
    uint32_t groups = 0;
    for (uint32_t n : phase.nodes)
        groups += kernels::group_count(exec.nodes[n].weights[0]->rows);
    return groups;
}

uint32_t matmul_units(const Exec& exec, const Phase& phase) {
    return count_units(exec, exec.nodes[phase.nodes[0]].in[0], all_groups(exec, phase));
}

void run_matmul(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const uint32_t x = exec.nodes[phase.nodes[0]].in[0];
    ensure(exec, x, thread);
    const Piece p = find_piece(exec, x, all_groups(exec, phase), unit, units);
    multiply(exec, phase, thread, p.begin, p.end, p.token_begin, p.token_end);
}

uint32_t glu_blocks(const Node& node) noexcept { return (node.weights[0]->rows + 31) / 32; }

uint32_t glu_units(const Exec& exec, const Phase& phase) {
    const Node& node = exec.nodes[phase.nodes[0]];
    return count_units(exec, node.in[0], glu_blocks(node));
}

void run_glu(Exec& exec, const Phase& phase, uint32_t unit, uint32_t units, uint32_t thread) {
    const Node& node = exec.nodes[phase.nodes[0]];
    ensure(exec, node.in[0], thread);
    const Piece p = find_piece(exec, node.in[0], glu_blocks(node), unit, units);
    multiply_glu(exec, node, thread, p.begin, p.end, p.token_begin, p.token_end);
}

}  // namespace

const PhaseKind kMatmulPhase = {matmul_units, run_matmul};
const PhaseKind kGluPhase = {glu_units, run_glu};

}  // namespace tenon::cpu
