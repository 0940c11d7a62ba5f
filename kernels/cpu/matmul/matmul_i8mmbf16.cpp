// Products of bfloat16 pairs by BFMMLA: weights as stored, x rounded to bfloat16 on the way.
//
// A matrix holds four columns of two rows, or of two tokens; BFMMLA adds the products of the first two
// columns to each sum, then those of the other two. That is what two BFDOTs do (Arm ARM, BFMatMulAdd),
// so a lone token, which takes them, has the bits of many.
#define TENON_ISA_NAMESPACE isa_i8mmbf16
#define TENON_ISA_LEVEL 5
#include "kernels/cpu/matmul/matmul-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kRoundedSlots = 4;
constexpr uint32_t kQuad = 4;  // columns of a matrix
constexpr uint32_t kQuadBytes = kQuad * FormatBf16::kColBytes;

// Two tokens are matrix after matrix; a last one without a neighbour has zeros for it.
TENON_INLINE void round_panel(const float* x, uint64_t stride, uint32_t tokens, uint32_t cols,
                              uint16_t* out) {
    for (uint32_t t = 0; t < tokens; t += 2)
        for (uint32_t k = 0; k < cols; k += kQuad) {
            const float* at = x + t * stride;
            const float32x4_t one = load_quarter(at, k, cols);
            const float32x4_t two =
                t + 1 < tokens ? load_quarter(at + stride, k, cols) : vdupq_n_f32(0.0f);
            const bfloat16x8_t both = vcvtq_high_bf16_f32(vcvtq_low_bf16_f32(one), two);
            vst1q_u16(out + t * kPanelCols + 2 * k, vreinterpretq_u16_bf16(both));
        }
}

// Eight rows of four columns.
struct Columns {
    uint16x8_t column[kQuad];

    // `left` columns are there; what is missing is zeros.
    TENON_INLINE Columns(const uint8_t* w, uint32_t left) {
#pragma GCC unroll 4
        for (uint32_t k = 0; k < kQuad; ++k)
            column[k] = k < left ? vld1q_u16(reinterpret_cast<const uint16_t*>(
                                       w + size_t{k} * FormatBf16::kColBytes))
                                 : vdupq_n_u16(0);
    }

    // Columns 2 * Pair and 2 * Pair + 1 side by side, of the first four rows or the last.
    template <uint32_t Pair>
    TENON_INLINE uint32x4_t first_rows() const {
        return vreinterpretq_u32_u16(vzip1q_u16(column[2 * Pair], column[2 * Pair + 1]));
    }
    template <uint32_t Pair>
    TENON_INLINE uint32x4_t last_rows() const {
        return vreinterpretq_u32_u16(vzip2q_u16(column[2 * Pair], column[2 * Pair + 1]));
    }
};

TENON_INLINE bfloat16x8_t pairs_of(uint32x4_t pairs) { return vreinterpretq_bf16_u32(pairs); }

// A quad of columns, `left` of them there, of Groups row groups.
template <uint32_t Groups>
TENON_INLINE void add_quad(const uint8_t* w, size_t stride, uint32_t left, const uint16_t* x,
                           F* sum) {
    const bfloat16x8_t token = vreinterpretq_bf16_u16(vld1q_u16(x));
#pragma GCC unroll 4
    for (uint32_t g = 0; g < Groups; ++g)
#pragma GCC unroll 2
        for (uint32_t half = 0; half < 2; ++half) {
            const uint8_t* at = w + g * stride + half * sizeof(uint16x8_t);
            prefetch(at + kStreamBytes + 64 * half);
            const Columns columns(at, left);
            float32x4_t& low = sum[g].q[2 * half];
            float32x4_t& high = sum[g].q[2 * half + 1];
            low = vbfdotq_laneq_f32(low, pairs_of(columns.first_rows<0>()), token, 0);
            high = vbfdotq_laneq_f32(high, pairs_of(columns.last_rows<0>()), token, 0);
            low = vbfdotq_laneq_f32(low, pairs_of(columns.first_rows<1>()), token, 1);
            high = vbfdotq_laneq_f32(high, pairs_of(columns.last_rows<1>()), token, 1);
        }
}

// One token; each of its sums waits for the one before, so groups run side by side.
template <uint32_t Groups>
void add_lone(const uint8_t* w, size_t stride, uint32_t cols, const uint16_t* x, F* total) {
    F sum[Groups];
    for (uint32_t g = 0; g < Groups; ++g)
        sum[g] = zero();
    uint32_t k = 0;
    for (; k + kQuad <= cols; k += kQuad, w += kQuadBytes)
        add_quad<Groups>(w, stride, kQuad, x + 2 * k, sum);
    if (k < cols) add_quad<Groups>(w, stride, cols - k, x + 2 * k, sum);
    for (uint32_t g = 0; g < Groups; ++g)
        total[g * kPanelTokens] = add(total[g * kPanelTokens], sum[g]);
}

// of[i][p]: rows 2i and 2i + 1 of a row group, each with both tokens of pair p.
template <uint32_t Pairs>
struct PairSums {
    float32x4_t of[kGroupRows / 2][Pairs];
};

template <uint32_t Pairs>
TENON_INLINE void add_matrices(const uint8_t* w, uint32_t left, const uint16_t* x,
                               PairSums<Pairs>& sum) {
    bfloat16x8_t tokens[Pairs];
#pragma GCC unroll 2
    for (uint32_t p = 0; p < Pairs; ++p)
        tokens[p] = vreinterpretq_bf16_u16(vld1q_u16(x + p * 2 * kPanelCols));
#pragma GCC unroll 2
    for (uint32_t half = 0; half < 2; ++half) {
        const Columns columns(w + half * sizeof(uint16x8_t), left);
        const uint32x4_t first[2] = {columns.first_rows<0>(), columns.first_rows<1>()};
        const uint32x4_t last[2] = {columns.last_rows<0>(), columns.last_rows<1>()};
        const bfloat16x8_t rows[4] = {
            pairs_of(vzip1q_u32(first[0], first[1])), pairs_of(vzip2q_u32(first[0], first[1])),
            pairs_of(vzip1q_u32(last[0], last[1])), pairs_of(vzip2q_u32(last[0], last[1]))};
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; ++i)
#pragma GCC unroll 2
            for (uint32_t p = 0; p < Pairs; ++p)
                sum.of[4 * half + i][p] = vbfmmlaq_f32(sum.of[4 * half + i][p], rows[i], tokens[p]);
    }
}

// Adds to total[0 .. count]; count is 2 * Pairs, or one less.
template <uint32_t Pairs>
void add_pairs(const uint8_t* w, uint32_t cols, const uint16_t* x, uint32_t count, F* total) {
    PairSums<Pairs> sum;
#pragma GCC unroll 8
    for (uint32_t i = 0; i < kGroupRows / 2; ++i)
#pragma GCC unroll 2
        for (uint32_t p = 0; p < Pairs; ++p)
            sum.of[i][p] = vdupq_n_f32(0.0f);
    uint32_t k = 0;
    for (; k + kQuad <= cols; k += kQuad, w += kQuadBytes)
        add_matrices<Pairs>(w, kQuad, x + 2 * k, sum);
    if (k < cols) add_matrices<Pairs>(w, cols - k, x + 2 * k, sum);
    for (uint32_t p = 0; p < Pairs; ++p) {
        F one, two;
#pragma GCC unroll 4
        for (uint32_t q = 0; q < 4; ++q) {
            one.q[q] = vuzp1q_f32(sum.of[2 * q][p], sum.of[2 * q + 1][p]);
            two.q[q] = vuzp2q_f32(sum.of[2 * q][p], sum.of[2 * q + 1][p]);
        }
        total[2 * p] = add(total[2 * p], one);
        if (2 * p + 1 < count) total[2 * p + 1] = add(total[2 * p + 1], two);
    }
}

template <uint32_t Groups>
TENON_INLINE void add_rounded(uint32_t count, const uint8_t* w, size_t stride, uint32_t cols,
                              const uint16_t* x, F* total) {
    if (count == 1) return add_lone<Groups>(w, stride, cols, x, total);
    for (uint32_t g = 0; g < Groups; ++g, w += stride, total += kPanelTokens) {
        if (count == 2) {
            add_pairs<1>(w, cols, x, count, total);
        } else {
            add_pairs<2>(w, cols, x, count, total);
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE

#include "kernels/cpu/matmul/rounded-inl.h"
