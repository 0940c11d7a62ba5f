// The sixteen-lane vector on AVX-512; included by simd-inl.h alone.
#pragma once

#include <immintrin.h>

namespace tenon::kernels::TENON_ISA_NAMESPACE {

struct F {
    __m512 v;
};
struct I {
    __m512i v;
};

TENON_INLINE __mmask16 first_lanes(uint32_t count) {
    return static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << count) - 1u);
}

TENON_INLINE F zero() { return {_mm512_setzero_ps()}; }
TENON_INLINE F set(float a) { return {_mm512_set1_ps(a)}; }
TENON_INLINE F load(const float* p) { return {_mm512_loadu_ps(p)}; }
TENON_INLINE void store(float* p, F a) { _mm512_storeu_ps(p, a.v); }
TENON_INLINE F load_first(const float* p, uint32_t count) {
    return {_mm512_maskz_loadu_ps(first_lanes(count), p)};
}
TENON_INLINE void store_first(float* p, F a, uint32_t count) {
    _mm512_mask_storeu_ps(p, first_lanes(count), a.v);
}
TENON_INLINE F load_half(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
TENON_INLINE void store_half(uint16_t* p, F a) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                        _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
TENON_INLINE F load_bfloat(const uint16_t* p) {
    const __m256i raw = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(raw), 16))};
}
// An OCP float of 5 exponent bits is the upper byte of a binary16.
TENON_INLINE F load_e5m2(const uint8_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtph_ps(_mm256_slli_epi16(_mm256_cvtepu8_epi16(raw), 8))};
}
// 2^-8 times the number: its bits in a binary16 read with the wrong bias. NaN stays NaN.
TENON_INLINE F load_e4m3(const uint8_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m256i moved = _mm256_slli_epi16(_mm256_cvtepi8_epi16(raw), 7);
    const __m256i magnitude = _mm256_and_si256(moved, _mm256_set1_epi16(0x3f80));
    const __mmask16 nan = _mm256_cmpeq_epi16_mask(magnitude, _mm256_set1_epi16(0x3f80));
    const __m256i half = _mm256_and_si256(moved, _mm256_set1_epi16(static_cast<int16_t>(0xbf80)));
    return {_mm512_cvtph_ps(_mm256_mask_mov_epi16(half, nan, _mm256_set1_epi16(0x7fff)))};
}
TENON_INLINE F load_int8(const int8_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(raw))};
}
TENON_INLINE F add(F a, F b) { return {_mm512_add_ps(a.v, b.v)}; }
TENON_INLINE F sub(F a, F b) { return {_mm512_sub_ps(a.v, b.v)}; }
TENON_INLINE F mul(F a, F b) { return {_mm512_mul_ps(a.v, b.v)}; }
TENON_INLINE F div_lanes(F a, F b) { return {_mm512_div_ps(a.v, b.v)}; }
TENON_INLINE F fma_lanes(F a, F b, F c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
TENON_INLINE F max_lanes(F a, F b) { return {_mm512_max_ps(a.v, b.v)}; }
TENON_INLINE F min_lanes(F a, F b) { return {_mm512_min_ps(a.v, b.v)}; }
TENON_INLINE F round_lanes(F a) {
    return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// Lanes 0 and 1 change places, 2 and 3, and so on.
TENON_INLINE F swap_pairs(F a) { return {_mm512_permute_ps(a.v, 0xb1)}; }
TENON_INLINE F square_root(F a) { return {_mm512_sqrt_ps(a.v)}; }
TENON_INLINE F scale_by_power_of_two(F a, F n) { return {_mm512_scalef_ps(a.v, n.v)}; }
TENON_INLINE F keep_nan(F x, F result) {
    return {_mm512_mask_mov_ps(result.v, _mm512_cmp_ps_mask(x.v, x.v, _CMP_UNORD_Q), x.v)};
}
// Lanes in [begin, end) of a, other elsewhere.
TENON_INLINE F select_range(F a, uint32_t begin, uint32_t end, F other) {
    const __mmask16 keep = static_cast<__mmask16>(first_lanes(end) & ~first_lanes(begin));
    return {_mm512_mask_mov_ps(other.v, keep, a.v)};
}
// The tree of every level: lane i with i + 8, then + 4, + 2, + 1.
TENON_INLINE float sum_lanes(F a) {
    const __m256 h = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
TENON_INLINE float largest_lane(F a) {
    const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}
TENON_INLINE F to_float(I a) { return {_mm512_cvtepi32_ps(a.v)}; }
TENON_INLINE I zero_int() { return {_mm512_setzero_si512()}; }
TENON_INLINE I set_int(int32_t a) { return {_mm512_set1_epi32(a)}; }

// Larger of |a| and |b| as bit patterns: a NaN beats every number, so it is never lost.
TENON_INLINE I magnitude_max(I largest, F a) {
    const __m512i bits = _mm512_and_si512(_mm512_castps_si512(a.v), _mm512_set1_epi32(0x7fffffff));
    return {_mm512_max_epi32(largest.v, bits)};
}
TENON_INLINE float largest_magnitude(I a) {
    const int32_t bits = _mm512_reduce_max_epi32(a.v);
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
// Rounds to the nearest integer (ties to even), stores 16 signed bytes, returns their sum.
TENON_INLINE int32_t store_rounded_bytes(int8_t* p, F a) {
    const __m512i wide = _mm512_cvtps_epi32(a.v);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtsepi32_epi8(wide));
    return _mm512_reduce_add_epi32(wide);
}
// Marks the lanes of a that are not below the limit, NaN included; marks stay.
TENON_INLINE I mark_not_below(I marks, F a, F limit) {
    return {_mm512_mask_mov_epi32(marks.v, _mm512_cmp_ps_mask(a.v, limit.v, _CMP_NLT_UQ),
                                  _mm512_set1_epi32(-1))};
}
TENON_INLINE bool any_mark(I marks) { return _mm512_test_epi32_mask(marks.v, marks.v) != 0; }
TENON_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
