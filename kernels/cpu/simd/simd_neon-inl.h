// The sixteen-lane vector as four quarters on NEON, the baseline of every 64-bit Arm; included by
// simd-inl.h alone.
#pragma once

#include <arm_neon.h>

namespace tenon::kernels::TENON_ISA_NAMESPACE {

struct F {
    float32x4_t q[4];
};
struct I {
    int32x4_t q[4];
};

#define TENON_QUARTERS(op, ...)                                                            \
    {                                                                                      \
        { op(0, __VA_ARGS__), op(1, __VA_ARGS__), op(2, __VA_ARGS__), op(3, __VA_ARGS__) } \
    }
#define TENON_UNARY(i, function, a) function(a.q[i])
#define TENON_BINARY(i, function, a, b) function(a.q[i], b.q[i])
#define TENON_TERNARY(i, function, a, b, c) function(a.q[i], b.q[i], c.q[i])

// Lanes of a quarter whose number is below count.
TENON_INLINE uint32x4_t lanes_below(uint32_t first, uint32_t count) {
    constexpr uint32_t kNumbers[4] = {0, 1, 2, 3};
    return vcltq_u32(vaddq_u32(vld1q_u32(kNumbers), vdupq_n_u32(first)), vdupq_n_u32(count));
}

TENON_INLINE F set(float a) {
    const float32x4_t q = vdupq_n_f32(a);
    return {{q, q, q, q}};
}
TENON_INLINE F zero() { return set(0.0f); }
TENON_INLINE F load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}
TENON_INLINE void store(float* p, F a) {
    vst1q_f32(p, a.q[0]);
    vst1q_f32(p + 4, a.q[1]);
    vst1q_f32(p + 8, a.q[2]);
    vst1q_f32(p + 12, a.q[3]);
}
// Touches no number from p + count on.
TENON_INLINE float32x4_t load_quarter(const float* p, uint32_t first, uint32_t count) {
    if (count >= first + 4) return vld1q_f32(p + first);
    float32x4_t q = vdupq_n_f32(0.0f);
    if (count > first) q = vld1q_lane_f32(p + first, q, 0);
    if (count > first + 1) q = vld1q_lane_f32(p + first + 1, q, 1);
    if (count > first + 2) q = vld1q_lane_f32(p + first + 2, q, 2);
    return q;
}
TENON_INLINE void store_quarter(float* p, float32x4_t q, uint32_t first, uint32_t count) {
    if (count >= first + 4) return vst1q_f32(p + first, q);
    if (count > first) vst1q_lane_f32(p + first, q, 0);
    if (count > first + 1) vst1q_lane_f32(p + first + 1, q, 1);
    if (count > first + 2) vst1q_lane_f32(p + first + 2, q, 2);
}
TENON_INLINE F load_first(const float* p, uint32_t count) {
    if (count >= 16) return load(p);
    return {{load_quarter(p, 0, count), load_quarter(p, 4, count), load_quarter(p, 8, count),
             load_quarter(p, 12, count)}};
}
TENON_INLINE void store_first(float* p, F a, uint32_t count) {
    if (count >= 16) return store(p, a);
    store_quarter(p, a.q[0], 0, count);
    store_quarter(p, a.q[1], 4, count);
    store_quarter(p, a.q[2], 8, count);
    store_quarter(p, a.q[3], 12, count);
}
TENON_INLINE F widen_halves(uint16x8_t lo, uint16x8_t hi) {
    const float16x8_t a = vreinterpretq_f16_u16(lo);
    const float16x8_t b = vreinterpretq_f16_u16(hi);
    return {{vcvt_f32_f16(vget_low_f16(a)), vcvt_high_f32_f16(a), vcvt_f32_f16(vget_low_f16(b)),
             vcvt_high_f32_f16(b)}};
}
TENON_INLINE F load_half(const uint16_t* p) { return widen_halves(vld1q_u16(p), vld1q_u16(p + 8)); }
TENON_INLINE void store_half(uint16_t* p, F a) {
    const float16x8_t lo = vcvt_high_f16_f32(vcvt_f16_f32(a.q[0]), a.q[1]);
    const float16x8_t hi = vcvt_high_f16_f32(vcvt_f16_f32(a.q[2]), a.q[3]);
    vst1q_u16(p, vreinterpretq_u16_f16(lo));
    vst1q_u16(p + 8, vreinterpretq_u16_f16(hi));
}
TENON_INLINE float32x4_t widen_bfloat(const uint16_t* p) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(vld1_u16(p)), 16));
}
TENON_INLINE F load_bfloat(const uint16_t* p) {
    return {{widen_bfloat(p), widen_bfloat(p + 4), widen_bfloat(p + 8), widen_bfloat(p + 12)}};
}
// An OCP float of 5 exponent bits is the upper byte of a binary16.
TENON_INLINE F load_e5m2(const uint8_t* p) {
    return widen_halves(vshlq_n_u16(vmovl_u8(vld1_u8(p)), 8),
                        vshlq_n_u16(vmovl_u8(vld1_u8(p + 8)), 8));
}
TENON_INLINE uint16x8_t half_of_e4m3(const uint8_t* p) {
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_u8(vld1_u8(p)));
    const uint16x8_t moved = vreinterpretq_u16_s16(vshlq_n_s16(wide, 7));
    const uint16x8_t magnitude = vandq_u16(moved, vdupq_n_u16(0x3f80));
    const uint16x8_t nan = vceqq_u16(magnitude, vdupq_n_u16(0x3f80));
    const uint16x8_t half = vandq_u16(moved, vdupq_n_u16(0xbf80));
    return vorrq_u16(half, vandq_u16(nan, vdupq_n_u16(0x7c00)));
}
// 2^-8 times the number: its bits in a binary16 read with the wrong bias. NaN stays NaN.
TENON_INLINE F load_e4m3(const uint8_t* p) {
    return widen_halves(half_of_e4m3(p), half_of_e4m3(p + 8));
}
TENON_INLINE F load_int8(const int8_t* p) {
    const int16x8_t lo = vmovl_s8(vld1_s8(p));
    const int16x8_t hi = vmovl_s8(vld1_s8(p + 8));
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(lo))), vcvtq_f32_s32(vmovl_high_s16(lo)),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(hi))), vcvtq_f32_s32(vmovl_high_s16(hi))}};
}
TENON_INLINE F add(F a, F b) { return TENON_QUARTERS(TENON_BINARY, vaddq_f32, a, b); }
TENON_INLINE F sub(F a, F b) { return TENON_QUARTERS(TENON_BINARY, vsubq_f32, a, b); }
TENON_INLINE F mul(F a, F b) { return TENON_QUARTERS(TENON_BINARY, vmulq_f32, a, b); }
TENON_INLINE F div_lanes(F a, F b) { return TENON_QUARTERS(TENON_BINARY, vdivq_f32, a, b); }
TENON_INLINE F fma_lanes(F a, F b, F c) {
    return TENON_QUARTERS(TENON_TERNARY, vfmaq_f32, c, a, b);
}
// b where a or b is NaN and where both are zeros, as on every level: FMAX would keep the NaN.
TENON_INLINE float32x4_t larger(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}
TENON_INLINE float32x4_t smaller(float32x4_t a, float32x4_t b) {
    return vbslq_f32(vcltq_f32(a, b), a, b);
}
TENON_INLINE F max_lanes(F a, F b) { return TENON_QUARTERS(TENON_BINARY, larger, a, b); }
TENON_INLINE F min_lanes(F a, F b) { return TENON_QUARTERS(TENON_BINARY, smaller, a, b); }
TENON_INLINE F round_lanes(F a) { return TENON_QUARTERS(TENON_UNARY, vrndnq_f32, a); }
// Lanes 0 and 1 change places, 2 and 3, and so on.
TENON_INLINE F swap_pairs(F a) { return TENON_QUARTERS(TENON_UNARY, vrev64q_f32, a); }
TENON_INLINE F square_root(F a) { return TENON_QUARTERS(TENON_UNARY, vsqrtq_f32, a); }
// In two steps, so that n from -252 to 254 never leaves the exponent's range on the way.
TENON_INLINE float32x4_t scale_quarter(float32x4_t a, float32x4_t n) {
    const int32x4_t whole = vcvtnq_s32_f32(n);
    const int32x4_t first = vshrq_n_s32(whole, 1);
    const int32x4_t second = vsubq_s32(whole, first);
    const int32x4_t bias = vdupq_n_s32(127);
    const float32x4_t f = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(first, bias), 23));
    const float32x4_t s = vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(second, bias), 23));
    return vmulq_f32(vmulq_f32(a, f), s);
}
TENON_INLINE F scale_by_power_of_two(F a, F n) {
    return TENON_QUARTERS(TENON_BINARY, scale_quarter, a, n);
}
TENON_INLINE float32x4_t keep_nan_quarter(float32x4_t x, float32x4_t result) {
    return vbslq_f32(vceqq_f32(x, x), result, x);
}
TENON_INLINE F keep_nan(F x, F result) {
    return TENON_QUARTERS(TENON_BINARY, keep_nan_quarter, x, result);
}
TENON_INLINE float32x4_t select_quarter(uint32_t first, float32x4_t a, uint32_t begin, uint32_t end,
                                        float32x4_t other) {
    return vbslq_f32(vbicq_u32(lanes_below(first, end), lanes_below(first, begin)), a, other);
}
// Lanes in [begin, end) of a, other elsewhere.
TENON_INLINE F select_range(F a, uint32_t begin, uint32_t end, F other) {
    return {{select_quarter(0, a.q[0], begin, end, other.q[0]),
             select_quarter(4, a.q[1], begin, end, other.q[1]),
             select_quarter(8, a.q[2], begin, end, other.q[2]),
             select_quarter(12, a.q[3], begin, end, other.q[3])}};
}
// The tree of every level: lane i with i + 8, then + 4, + 2, + 1.
TENON_INLINE float sum_lanes(F a) {
    const float32x4_t q = vaddq_f32(vaddq_f32(a.q[0], a.q[2]), vaddq_f32(a.q[1], a.q[3]));
    const float32x2_t d = vadd_f32(vget_low_f32(q), vget_high_f32(q));
    return vget_lane_f32(vpadd_f32(d, d), 0);
}
TENON_INLINE float largest_lane(F a) {
    const float32x4_t q = larger(larger(a.q[0], a.q[2]), larger(a.q[1], a.q[3]));
    const float32x4_t d = larger(q, vextq_f32(q, q, 2));
    return vgetq_lane_f32(larger(d, vrev64q_f32(d)), 0);
}
TENON_INLINE F to_float(I a) { return TENON_QUARTERS(TENON_UNARY, vcvtq_f32_s32, a); }
TENON_INLINE I set_int(int32_t a) {
    const int32x4_t q = vdupq_n_s32(a);
    return {{q, q, q, q}};
}
TENON_INLINE I zero_int() { return set_int(0); }

// Larger of |a| and |b| as bit patterns: a NaN beats every number, so it is never lost.
TENON_INLINE int32x4_t magnitude_quarter(int32x4_t largest, float32x4_t a) {
    return vmaxq_s32(largest, vandq_s32(vreinterpretq_s32_f32(a), vdupq_n_s32(0x7fffffff)));
}
TENON_INLINE I magnitude_max(I largest, F a) {
    return TENON_QUARTERS(TENON_BINARY, magnitude_quarter, largest, a);
}
TENON_INLINE float largest_magnitude(I a) {
    const int32_t bits =
        vmaxvq_s32(vmaxq_s32(vmaxq_s32(a.q[0], a.q[2]), vmaxq_s32(a.q[1], a.q[3])));
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
// Rounds to the nearest integer (ties to even), stores 16 signed bytes, returns their sum.
TENON_INLINE int32_t store_rounded_bytes(int8_t* p, F a) {
    const I wide = TENON_QUARTERS(TENON_UNARY, vcvtnq_s32_f32, a);
    const int16x8_t lo = vqmovn_high_s32(vqmovn_s32(wide.q[0]), wide.q[1]);
    const int16x8_t hi = vqmovn_high_s32(vqmovn_s32(wide.q[2]), wide.q[3]);
    vst1q_s8(p, vqmovn_high_s16(vqmovn_s16(lo), hi));
    return vaddvq_s32(vaddq_s32(vaddq_s32(wide.q[0], wide.q[1]), vaddq_s32(wide.q[2], wide.q[3])));
}
TENON_INLINE int32x4_t mark_quarter(int32x4_t marks, float32x4_t a, float32x4_t limit) {
    return vornq_s32(marks, vreinterpretq_s32_u32(vcltq_f32(a, limit)));
}
// Marks the lanes of a that are not below the limit, NaN included; marks stay.
TENON_INLINE I mark_not_below(I marks, F a, F limit) {
    return TENON_QUARTERS(TENON_TERNARY, mark_quarter, marks, a, limit);
}
TENON_INLINE bool any_mark(I marks) {
    const int32x4_t all =
        vorrq_s32(vorrq_s32(marks.q[0], marks.q[1]), vorrq_s32(marks.q[2], marks.q[3]));
    return vmaxvq_u32(vreinterpretq_u32_s32(all)) != 0;
}
TENON_INLINE void prefetch(const void* p) { __builtin_prefetch(p); }

#undef TENON_QUARTERS
#undef TENON_UNARY
#undef TENON_BINARY
#undef TENON_TERNARY

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
