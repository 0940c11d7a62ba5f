// Exact 16-element products of codes by VPDPBUSD; included by matmul-inl.h alone.
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kFastTokens = 8;  // 8 sums, 8 totals and 8 decoded vectors fit 32 registers
constexpr uint32_t kPrefetchBytes = 4096;

TENON_INLINE __m512i four_codes(const int8_t* codes) {
    int32_t word;
    __builtin_memcpy(&word, codes, sizeof word);
    return _mm512_set1_epi32(word);
}

template <class Format, uint32_t Tokens>
TENON_INLINE void prefetch_ahead(const uint8_t* w, size_t next_group) {
    // One or two tokens run at the memory's pace, within a group too.
    const size_t ahead = Tokens <= 2 ? kPrefetchBytes : next_group;
    if (ahead == 0) return;
#pragma GCC unroll 9
    for (uint32_t line = 0; line < Format::kBlockBytes; line += 64)
        prefetch(w + ahead + line);
}

template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, I* dot) {
#pragma GCC unroll 8
    for (uint32_t t = 0; t < Tokens; ++t)
        dot[t].v = _mm512_set1_epi32(x.minus_sum[Half][slot + t] * Format::kZeroPoint);
#pragma GCC unroll 4
    for (uint32_t j = 0; j < 4; ++j) {
        __m512i v;
        if constexpr (Format::kNibbles) {
            const __m512i both = _mm512_loadu_si512(w + 64 * j);
            const __m512i half = Half == 0 ? both : _mm512_srli_epi16(both, 4);
            v = _mm512_and_si512(half, _mm512_set1_epi8(15));
        } else {
            v = _mm512_loadu_si512(w + 64 * (4 * Half + j));
        }
#pragma GCC unroll 8
        for (uint32_t t = 0; t < Tokens; ++t)
            dot[t].v =
                _mm512_dpbusd_epi32(dot[t].v, v, four_codes(x.codes[slot + t] + 16 * Half + 4 * j));
    }
}

template <class Format>
TENON_INLINE void decode_codes(const uint8_t* w, F scale, F min, float* out) {
    const __m512i byte = _mm512_set1_epi32(255);
#pragma GCC unroll 8
    for (uint32_t j = 0; j < Format::kCodeBytes / 64; ++j) {
        const __m512i raw = _mm512_loadu_si512(w + 64 * j);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; ++i) {
            const __m512i code = _mm512_and_si512(_mm512_srli_epi32(raw, 8 * i), byte);
            if constexpr (Format::kNibbles) {
                const I low = {_mm512_and_si512(code, _mm512_set1_epi32(15))};
                const I high = {_mm512_srli_epi32(code, 4)};
                store(out + (4 * j + i) * kLanes, fma_lanes(to_float(low), scale, min));
                store(out + (16 + 4 * j + i) * kLanes, fma_lanes(to_float(high), scale, min));
            } else {
                store(out + (4 * j + i) * kLanes, fma_lanes(to_float(I{code}), scale, min));
            }
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
