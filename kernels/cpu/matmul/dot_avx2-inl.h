// Exact 16-element products of codes by VPMADDUBSW; included by matmul-inl.h alone.
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kFastTokens = 4;

TENON_INLINE __m256i four_codes(const int8_t* codes) {
    int32_t word;
    __builtin_memcpy(&word, codes, sizeof word);
    return _mm256_set1_epi32(word);
}

template <class Format, uint32_t Tokens>
TENON_INLINE void prefetch_ahead(const uint8_t*, size_t) {}

// Eight rows (one half of the lanes). Nibbles: 4 products of at most 2 * 15 * 128 stay within
// 16 bits. Bytes: |code - 128| <= 128 unsigned against the activation with the sign moved over;
// activation codes are never below -127 unless the row holds a NaN, so a pair fits 16 bits.
template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_eight_rows(const uint8_t* w, const ActivationBlock& x, uint32_t slot,
                                 __m256i* dot) {
    const __m256i ones = _mm256_set1_epi16(1);
    if constexpr (Format::kNibbles) {
        const __m256i low = _mm256_set1_epi8(15);
        __m256i sum[Tokens];
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t)
            sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (uint32_t j = 0; j < 4; ++j) {
            const __m256i both = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 64 * j));
            const __m256i half = Half == 0 ? both : _mm256_srli_epi16(both, 4);
            const __m256i v = _mm256_and_si256(half, low);
#pragma GCC unroll 4
            for (uint32_t t = 0; t < Tokens; ++t)
                sum[t] = _mm256_add_epi16(
                    sum[t],
                    _mm256_maddubs_epi16(v, four_codes(x.codes[slot + t] + 16 * Half + 4 * j)));
        }
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t)
            dot[t] = _mm256_add_epi32(
                _mm256_set1_epi32(x.minus_sum[Half][slot + t] * Format::kZeroPoint),
                _mm256_madd_epi16(sum[t], ones));
    } else {
        const __m256i flip = _mm256_set1_epi8(static_cast<char>(0x80));
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t)
            dot[t] = _mm256_setzero_si256();
#pragma GCC unroll 4
        for (uint32_t j = 4 * Half; j < 4 * Half + 4; ++j) {
            const __m256i code = _mm256_xor_si256(
                _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 64 * j)), flip);
            const __m256i magnitude = _mm256_abs_epi8(code);
#pragma GCC unroll 4
            for (uint32_t t = 0; t < Tokens; ++t) {
                const __m256i other = _mm256_sign_epi8(four_codes(x.codes[slot + t] + 4 * j), code);
                dot[t] = _mm256_add_epi32(
                    dot[t], _mm256_madd_epi16(_mm256_maddubs_epi16(magnitude, other), ones));
            }
        }
    }
}

template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, I* dot) {
    __m256i rows[Tokens];
    dot_eight_rows<Format, Tokens, Half>(w, x, slot, rows);
#pragma GCC unroll 4
    for (uint32_t t = 0; t < Tokens; ++t)
        dot[t].lo = rows[t];
    dot_eight_rows<Format, Tokens, Half>(w + 32, x, slot, rows);
#pragma GCC unroll 4
    for (uint32_t t = 0; t < Tokens; ++t)
        dot[t].hi = rows[t];
}

template <class Format>
TENON_INLINE void decode_codes(const uint8_t* w, F scale, F min, float* out) {
    const __m256i byte = _mm256_set1_epi32(255);
    const __m256i nibble = _mm256_set1_epi32(15);
    for (uint32_t j = 0; j < Format::kCodeBytes / 64; ++j) {
        const __m256i lo = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 64 * j));
        const __m256i hi = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(w + 64 * j + 32));
#pragma GCC unroll 4
        for (int i = 0; i < 4; ++i) {
            const __m256i a = _mm256_and_si256(_mm256_srli_epi32(lo, 8 * i), byte);
            const __m256i b = _mm256_and_si256(_mm256_srli_epi32(hi, 8 * i), byte);
            float* first = out + (4 * j + static_cast<uint32_t>(i)) * kLanes;
            if constexpr (Format::kNibbles) {
                const I low = {_mm256_and_si256(a, nibble), _mm256_and_si256(b, nibble)};
                const I high = {_mm256_srli_epi32(a, 4), _mm256_srli_epi32(b, 4)};
                store(first, fma_lanes(to_float(low), scale, min));
                store(first + 16 * kLanes, fma_lanes(to_float(high), scale, min));
            } else {
                store(first, fma_lanes(to_float(I{a, b}), scale, min));
            }
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
