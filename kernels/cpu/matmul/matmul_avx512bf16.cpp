// Products of bfloat16 pairs by VDPBF16PS: weights as stored, x rounded to bfloat16 on the way.
#define TENON_ISA_NAMESPACE isa_avx512bf16
#define TENON_ISA_LEVEL 2
#include "kernels/cpu/matmul/matmul-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kRoundedSlots = kTileSlots;
constexpr uint32_t kPairBytes = 64;  // two columns of sixteen rows

// Columns k and k + 1 of a row group, side by side in each lane. `whole`: else k + 1 is zeros.
TENON_INLINE __m512bh load_pair(const uint8_t* p, bool whole) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    const __m512i columns = _mm512_maskz_loadu_epi16(whole ? 0xffffffffu : 0x0000ffffu, p);
    return reinterpret_cast<__m512bh>(_mm512_permutexvar_epi16(order, columns));
}

// Token after token, column after column, zeros behind the last.
TENON_INLINE void round_panel(const float* x, uint64_t stride, uint32_t tokens, uint32_t cols,
                              uint16_t* out) {
    for (uint32_t t = 0; t < tokens; ++t)
        for (uint32_t k = 0; k < cols; k += 2 * kLanes) {
            const float* at = x + t * stride + k;
            const uint32_t left = cols - k;
            const F low = load_first(at, left);
            const F high = load_first(at + kLanes, left > kLanes ? left - kLanes : 0);
            _mm512_storeu_si512(out + t * kPanelCols + k,
                                reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high.v, low.v)));
        }
}

TENON_INLINE __m512bh two_columns(const uint16_t* x) {
    int32_t pair;
    __builtin_memcpy(&pair, x, sizeof pair);
    return reinterpret_cast<__m512bh>(_mm512_set1_epi32(pair));
}

// Adds the products of `cols` columns of Groups row groups to total[group * kPanelTokens + token].
template <uint32_t Groups, uint32_t Tokens>
void pair_tile(const uint8_t* w, size_t stride, uint32_t cols, const uint16_t* x, F* total) {
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
            const __m512bh value = two_columns(x + t * kPanelCols + 2 * pair);
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
TENON_INLINE void add_rounded(uint32_t count, const uint8_t* w, size_t stride, uint32_t cols,
                              const uint16_t* x, F* total) {
    switch (count) {
        case 1: return pair_tile<Groups, 1>(w, stride, cols, x, total);
        case 2: return pair_tile<Groups, 2>(w, stride, cols, x, total);
        case 3: return pair_tile<Groups, 3>(w, stride, cols, x, total);
        case 4: return pair_tile<Groups, 4>(w, stride, cols, x, total);
        case 5: return pair_tile<Groups, 5>(w, stride, cols, x, total);
        default: return pair_tile<Groups, 6>(w, stride, cols, x, total);
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE

#include "kernels/cpu/matmul/rounded-inl.h"
