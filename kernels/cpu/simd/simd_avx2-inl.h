// The sixteen-lane vector as two halves on AVX2 with FMA and F16C; included by simd-inl.h alone.
#pragma once

#include <immintrin.h>

namespace tenon::kernels::TENON_ISA_NAMESPACE {

struct F {
    __m256 lo, hi;
};
struct I {
    __m256i lo, hi;
};

TENON_INLINE __m256i lane_numbers(int32_t first) {
    return _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
}
TENON_INLINE __m256i lanes_below(int32_t first, uint32_t count) {
    const int32_t limit = count > 16 ? 16 : static_cast<int32_t>(count);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(limit), lane_numbers(first));
}

TENON_INLINE F zero() { return {_mm256_setzero_ps(), _mm256_setzero_ps()}; }
TENON_INLINE F set(float a) { return {_mm256_set1_ps(a), _mm256_set1_ps(a)}; }
TENON_INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
TENON_INLINE void store(float* p, F a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
TENON_INLINE F load_first(const float* p, uint32_t count) {
    return {_mm256_maskload_ps(p, lanes_below(0, count)),
            _mm256_maskload_ps(p + 8, lanes_below(8, count))};
}
TENON_INLINE void store_first(float* p, F a, uint32_t count) {
    _mm256_maskstore_ps(p, lanes_below(0, count), a.lo);
    _mm256_maskstore_ps(p + 8, lanes_below(8, count), a.hi);
}
TENON_INLINE F load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))),
            _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)))};
}
TENON_INLINE void store_half(uint16_t* p, F a) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(a.lo, 0));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 8), _mm256_cvtps_ph(a.hi, 0));
}
TENON_INLINE __m256 widen_bfloat(const uint16_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(raw), 16));
}
TENON_INLINE F load_bfloat(const uint16_t* p) { return {widen_bfloat(p), widen_bfloat(p + 8)}; }
TENON_INLINE F widen_halves(__m256i halves) {
    return {_mm256_cvtph_ps(_mm256_castsi256_si128(halves)),
            _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1))};
}
// An OCP float of 5 exponent bits is the upper byte of a binary16.
TENON_INLINE F load_e5m2(const uint8_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return widen_halves(_mm256_slli_epi16(_mm256_cvtepu8_epi16(raw), 8));
}
// 2^-8 times the number: its bits in a binary16 read with the wrong bias. NaN stays NaN.
TENON_INLINE F load_e4m3(const uint8_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    const __m256i moved = _mm256_slli_epi16(_mm256_cvtepi8_epi16(raw), 7);
    const __m256i magnitude = _mm256_and_si256(moved, _mm256_set1_epi16(0x3f80));
    const __m256i nan = _mm256_cmpeq_epi16(magnitude, _mm256_set1_epi16(0x3f80));
    const __m256i half = _mm256_and_si256(moved, _mm256_set1_epi16(static_cast<int16_t>(0xbf80)));
    return widen_halves(_mm256_or_si256(half, _mm256_and_si256(nan, _mm256_set1_epi16(0x7c00))));
}
TENON_INLINE F load_int8(const int8_t* p) {
    const __m128i raw = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(raw)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(raw, 8)))};
}
TENON_INLINE F add(F a, F b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
TENON_INLINE F sub(F a, F b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
TENON_INLINE F mul(F a, F b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
TENON_INLINE F div_lanes(F a, F b) {
    return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
TENON_INLINE F fma_lanes(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
TENON_INLINE F max_lanes(F a, F b) {
    return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
TENON_INLINE F min_lanes(F a, F b) {
    return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
TENON_INLINE F round_lanes(F a) {
    return {_mm256_round_ps(a.lo, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
            _mm256_round_ps(a.hi, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// Lanes 0 and 1 change places, 2 and 3, and so on.
TENON_INLINE F swap_pairs(F a) {
    return {_mm256_permute_ps(a.lo, 0xb1), _mm256_permute_ps(a.hi, 0xb1)};
}
TENON_INLINE F square_root(F a) { return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)}; }
// In two steps, so that n from -252 to 254 never leaves the exponent's range on the way.
TENON_INLINE __m256 scale_half(__m256 a, __m256 n) {
    const __m256i whole = _mm256_cvtps_epi32(n);
    const __m256i first = _mm256_srai_epi32(whole, 1);
    const __m256i second = _mm256_sub_epi32(whole, first);
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256 f = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(first, bias), 23));
    const __m256 s = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(second, bias), 23));
    return _mm256_mul_ps(_mm256_mul_ps(a, f), s);
}
TENON_INLINE F scale_by_power_of_two(F a, F n) {
    return {scale_half(a.lo, n.lo), scale_half(a.hi, n.hi)};
}
TENON_INLINE F keep_nan(F x, F result) {
    return {_mm256_blendv_ps(result.lo, x.lo, _mm256_cmp_ps(x.lo, x.lo, _CMP_UNORD_Q)),
            _mm256_blendv_ps(result.hi, x.hi, _mm256_cmp_ps(x.hi, x.hi, _CMP_UNORD_Q))};
}
TENON_INLINE __m256 select_half(__m256 a, int32_t first, uint32_t begin, uint32_t end, __m256 o) {
    const __m256i keep = _mm256_andnot_si256(lanes_below(first, begin), lanes_below(first, end));
    return _mm256_blendv_ps(o, a, _mm256_castsi256_ps(keep));
}
// Lanes in [begin, end) of a, other elsewhere.
TENON_INLINE F select_range(F a, uint32_t begin, uint32_t end, F other) {
    return {select_half(a.lo, 0, begin, end, other.lo), select_half(a.hi, 8, begin, end, other.hi)};
}
// The tree of every level: lane i with i + 8, then + 4, + 2, + 1.
TENON_INLINE float sum_lanes(F a) {
    const __m256 h = _mm256_add_ps(a.lo, a.hi);
    const __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(d, _mm_shuffle_ps(d, d, 1)));
}
TENON_INLINE float largest_lane(F a) {
    const __m256 h = _mm256_max_ps(a.lo, a.hi);
    const __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    const __m128 d = _mm_max_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_max_ss(d, _mm_shuffle_ps(d, d, 1)));
}
TENON_INLINE F to_float(I a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }
TENON_INLINE I zero_int() { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
TENON_INLINE I set_int(int32_t a) { return {_mm256_set1_epi32(a), _mm256_set1_epi32(a)}; }

// Larger of |a| and |b| as bit patterns: a NaN beats every number, so it is never lost.
TENON_INLINE I magnitude_max(I largest, F a) {
    const __m256i mask = _mm256_set1_epi32(0x7fffffff);
    return {_mm256_max_epi32(largest.lo, _mm256_and_si256(_mm256_castps_si256(a.lo), mask)),
            _mm256_max_epi32(largest.hi, _mm256_and_si256(_mm256_castps_si256(a.hi), mask))};
}
TENON_INLINE float largest_magnitude(I a) {
    const __m256i h = _mm256_max_epi32(a.lo, a.hi);
    __m128i q = _mm_max_epi32(_mm256_castsi256_si128(h), _mm256_extracti128_si256(h, 1));
    q = _mm_max_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_max_epi32(q, _mm_shuffle_epi32(q, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(q));
}
// Rounds to the nearest integer (ties to even), stores 16 signed bytes, returns their sum.
TENON_INLINE int32_t store_rounded_bytes(int8_t* p, F a) {
    const __m256i lo = _mm256_cvtps_epi32(a.lo);
    const __m256i hi = _mm256_cvtps_epi32(a.hi);
    const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(lo, hi), 0xd8);
    const __m128i bytes =
        _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
    const __m256i sums = _mm256_add_epi32(lo, hi);
    __m128i q = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0x4e));
    q = _mm_add_epi32(q, _mm_shuffle_epi32(q, 0xb1));
    return _mm_cvtsi128_si32(q);
}
// Marks the lanes of a that are not below the limit, NaN included; marks stay.
TENON_INLINE I mark_not_below(I marks, F a, F limit) {
    const __m256 lo = _mm256_cmp_ps(a.lo, limit.lo, _CMP_NLT_UQ);
    const __m256 hi = _mm256_cmp_ps(a.hi, limit.hi, _CMP_NLT_UQ);
    return {_mm256_or_si256(marks.lo, _mm256_castps_si256(lo)),
            _mm256_or_si256(marks.hi, _mm256_castps_si256(hi))};
}
TENON_INLINE bool any_mark(I marks) {
    const __m256i both = _mm256_or_si256(marks.lo, marks.hi);
    return _mm256_testz_si256(both, both) == 0;
}
TENON_INLINE void prefetch(const void* p) {
    _mm_prefetch(static_cast<const char*>(p), _MM_HINT_T0);
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
