// Products of bfloat16 pairs by VDPBF16PS: weights as stored, x rounded to bfloat16 on the way.
#define TENON_ISA_NAMESPACE isa_avx512bf16
#define TENON_ISA_LEVEL 2
#include "kernels/cpu/matmul/matmul-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kPanelPairs = kPanelCols / 2;
constexpr uint32_t kPairBytes = 64;  // two columns of sixteen rows
constexpr uint32_t kPairGroups = 4;

// Columns k and k + 1 of a row group, side by side in each lane. `whole`: else k + 1 is zeros.
TENON_INLINE __m512bh load_pair(const uint8_t* p, bool whole) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i columns = _mm512_maskz_loadu_epi16(whole ? 0xffffffffu : 0x0000ffffu, p);
    return reinterpret_cast<__m512bh>(_mm512_permutexvar_epi16(order, columns));
}

// Rounds columns of one token to pairs[0 .. cols / 2], zeros behind the last.
TENON_INLINE void round_pairs(const float* x, uint32_t cols, uint32_t* pairs) {
    for (uint32_t k = 0; k < cols; k += 2 * kLanes) {
        const uint32_t left = cols - k;
        const F low = load_first(x + k, left);
        const F high = load_first(x + k + kLanes, left > kLanes ? left - kLanes : 0);
        _mm512_storeu_si512(pairs + k / 2,
                            reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v)));
    }
}

// Adds the products of `cols` columns of Groups row groups to total[group * kPanelTokens + token].
template <uint32_t Groups, uint32_t Tokens>
void pair_tile(const uint8_t* w, size_t stride, uint32_t cols, const uint32_t* x, F* total) {
    __m512 sum[Groups][Tokens];
#pragma GCC unroll 4
    for (uint32_t g = 0; g < Groups; ++g)
#pragma GCC unroll 6
        for (uint32_t t = 0; t < Tokens; ++t)
            sum[g][t] = _mm512_setzero_ps();
    const auto add_pair = [&](uint32_t pair, bool whole) __attribute__((always_inline)) {
        __m512bh column[Groups];
#pragma GCC unroll 4
        for (uint32_t g = 0; g < Groups; ++g) {
            const uint8_t* at = w + g * stride + size_t{pair} * kPairBytes;
            if (Tokens == 1) prefetch(at + kStreamBytes);
            column[g] = load_pair(at, whole);
        }
#pragma GCC unroll 6
        for (uint32_t t = 0; t < Tokens; ++t) {
            const auto value = reinterpret_cast<__m512bh>(
                _mm512_set1_epi32(static_cast<int32_t>(x[t * kPanelPairs + pair])));
#pragma GCC unroll 4
            for (uint32_t g = 0; g < Groups; ++g)
                sum[g][t] = _mm512_dpbf16_ps(sum[g][t], column[g], value);
        }
    };
    for (uint32_t pair = 0; pair < cols / 2; ++pair)
        add_pair(pair, true);
    if (cols % 2 != 0) add_pair(cols / 2, false);
#pragma GCC unroll 4
    for (uint32_t g = 0; g < Groups; ++g)
#pragma GCC unroll 6
        for (uint32_t t = 0; t < Tokens; ++t)
            total[g * kPanelTokens + t] = add(total[g * kPanelTokens + t], F{sum[g][t]});
}

template <uint32_t Groups>
TENON_INLINE void pair_slots(uint32_t count, const uint8_t* w, size_t stride, uint32_t cols,
                             const uint32_t* x, F* total) {
    switch (count) {
        case 1: return pair_tile<Groups, 1>(w, stride, cols, x, total);
        case 2: return pair_tile<Groups, 2>(w, stride, cols, x, total);
        case 3: return pair_tile<Groups, 3>(w, stride, cols, x, total);
        case 4: return pair_tile<Groups, 4>(w, stride, cols, x, total);
        case 5: return pair_tile<Groups, 5>(w, stride, cols, x, total);
        default: return pair_tile<Groups, 6>(w, stride, cols, x, total);
    }
}

template <uint32_t Groups>
TENON_INLINE void pair_groups(const MatmulArgs& a, uint32_t group, uint32_t token,
                              uint32_t tokens) {
    const size_t stride = size_t{a.cols} * FormatBf16::kColBytes;
    const uint8_t* w = static_cast<const uint8_t*>(a.weights) + group * stride;
    alignas(64) uint32_t pairs[kPanelTokens * kPanelPairs];
    F total[Groups * kPanelTokens];
    for (uint32_t g = 0; g < Groups; ++g)
        for (uint32_t t = 0; t < tokens; ++t)
            total[g * kPanelTokens + t] = zero();
    for (uint32_t first = 0; first < a.cols; first += kPanelCols) {
        const uint32_t rest = a.cols - first;
        const uint32_t cols = rest < kPanelCols ? rest : kPanelCols;
        for (uint32_t t = 0; t < tokens; ++t)
            round_pairs(a.x + (token + t) * a.x_stride + first, cols, pairs + t * kPanelPairs);
        for (uint32_t t = 0; t < tokens; t += kTileSlots)
            pair_slots<Groups>(tokens - t < kTileSlots ? tokens - t : kTileSlots,
                               w + size_t{first} * FormatBf16::kColBytes, stride, cols,
                               pairs + t * kPanelPairs, total + t);
    }
    for (uint32_t g = 0; g < Groups; ++g)
        for (uint32_t t = 0; t < tokens; ++t)
            finish(a, group + g, token + t, total[g * kPanelTokens + t]);
}

void matmul_rounded(const MatmulArgs& a) {
    for (uint32_t panel = a.token_begin; panel < a.token_end; panel += kPanelTokens) {
        const uint32_t left = a.token_end - panel;
        const uint32_t tokens = left < kPanelTokens ? left : kPanelTokens;
        uint32_t group = a.group_begin;
        for (; group + kPairGroups <= a.group_end; group += kPairGroups)
            pair_groups<kPairGroups>(a, group, panel, tokens);
        for (; group < a.group_end; ++group)
            pair_groups<1>(a, group, panel, tokens);
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
