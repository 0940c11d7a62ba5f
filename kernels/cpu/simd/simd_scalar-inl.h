// The sixteen-lane vector in plain C++, for every processor; included by simd-inl.h alone.
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

struct F {
    float v[16];
};
struct I {
    int32_t v[16];
};

#define TENON_LANES for (uint32_t lane = 0; lane < 16; ++lane)

TENON_INLINE float float_of_bits(uint32_t bits) {
    float value;
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}
TENON_INLINE uint32_t bits_of_float(float value) {
    uint32_t bits;
    __builtin_memcpy(&bits, &value, sizeof bits);
    return bits;
}
TENON_INLINE float float_of_half(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t rest = half & 0x7fffu;
    if (rest >= 0x7c00u) return float_of_bits(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
    // 2^112 lifts the half's exponent bias to the float's, subnormals included.
    const float magnitude = float_of_bits(rest << 13) * float_of_bits(0x77800000u);
    return float_of_bits(sign | bits_of_float(magnitude));
}
// Nearest, ties to even.
TENON_INLINE uint16_t half_of_float(float value) {
    const uint32_t bits = bits_of_float(value);
    const uint32_t sign = (bits >> 16) & 0x8000u;
    const uint32_t rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u);
    if (rest >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7c00u);
    if (rest < 0x38800000u) {
        // Adding one half leaves the rounded multiple of 2^-24 in the low bits.
        const float shifted = float_of_bits(rest) + 0.5f;
        return static_cast<uint16_t>(sign | (bits_of_float(shifted) - 0x3f000000u));
    }
    const uint32_t rounded = rest + 0xfffu + ((rest >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

TENON_INLINE F set(float a) {
    F r;
    TENON_LANES r.v[lane] = a;
    return r;
}
TENON_INLINE F zero() { return set(0.0f); }
TENON_INLINE F load(const float* p) {
    F r;
    __builtin_memcpy(r.v, p, sizeof r.v);
    return r;
}
TENON_INLINE void store(float* p, F a) { __builtin_memcpy(p, a.v, sizeof a.v); }
TENON_INLINE F load_first(const float* p, uint32_t count) {
    F r;
    TENON_LANES r.v[lane] = lane < count ? p[lane] : 0.0f;
    return r;
}
TENON_INLINE void store_first(float* p, F a, uint32_t count) {
    for (uint32_t lane = 0; lane < 16 && lane < count; ++lane)
        p[lane] = a.v[lane];
}
TENON_INLINE F load_half(const uint16_t* p) {
    F r;
    TENON_LANES r.v[lane] = float_of_half(p[lane]);
    return r;
}
TENON_INLINE void store_half(uint16_t* p, F a) { TENON_LANES p[lane] = half_of_float(a.v[lane]); }
TENON_INLINE F load_bfloat(const uint16_t* p) {
    F r;
    TENON_LANES r.v[lane] = float_of_bits(static_cast<uint32_t>(p[lane]) << 16);
    return r;
}
// An OCP float of 5 exponent bits is the upper byte of a binary16.
TENON_INLINE F load_e5m2(const uint8_t* p) {
    F r;
    TENON_LANES r.v[lane] = float_of_half(static_cast<uint16_t>(p[lane] << 8));
    return r;
}
// 2^-8 times the number: its bits in a binary16 read with the wrong bias. NaN stays NaN.
TENON_INLINE F load_e4m3(const uint8_t* p) {
    F r;
    TENON_LANES {
        const uint32_t magnitude = p[lane] & 0x7fu;
        const uint32_t half = (p[lane] & 0x80u) << 8 | magnitude << 7;
        r.v[lane] = float_of_half(static_cast<uint16_t>(magnitude == 0x7fu ? 0x7fffu : half));
    }
    return r;
}
TENON_INLINE F load_int8(const int8_t* p) {
    F r;
    TENON_LANES r.v[lane] = static_cast<float>(p[lane]);
    return r;
}
TENON_INLINE F add(F a, F b) {
    TENON_LANES a.v[lane] += b.v[lane];
    return a;
}
TENON_INLINE F sub(F a, F b) {
    TENON_LANES a.v[lane] -= b.v[lane];
    return a;
}
TENON_INLINE F mul(F a, F b) {
    TENON_LANES a.v[lane] *= b.v[lane];
    return a;
}
TENON_INLINE F div_lanes(F a, F b) {
    TENON_LANES a.v[lane] /= b.v[lane];
    return a;
}
// Rounded twice: baseline processors have no fused instruction.
TENON_INLINE F fma_lanes(F a, F b, F c) {
    TENON_LANES c.v[lane] += a.v[lane] * b.v[lane];
    return c;
}
TENON_INLINE F max_lanes(F a, F b) {
    TENON_LANES a.v[lane] = a.v[lane] > b.v[lane] ? a.v[lane] : b.v[lane];
    return a;
}
TENON_INLINE F min_lanes(F a, F b) {
    TENON_LANES a.v[lane] = a.v[lane] < b.v[lane] ? a.v[lane] : b.v[lane];
    return a;
}
// Exact for magnitudes below 2^22: adding 1.5 * 2^23 rounds to an integer, ties to even.
TENON_INLINE float round_nearest(float a) { return (a + 12582912.0f) - 12582912.0f; }
TENON_INLINE F round_lanes(F a) {
    TENON_LANES a.v[lane] = round_nearest(a.v[lane]);
    return a;
}
// Lanes 0 and 1 change places, 2 and 3, and so on.
TENON_INLINE F swap_pairs(F a) {
    F r;
    TENON_LANES r.v[lane] = a.v[lane ^ 1u];
    return r;
}
TENON_INLINE F square_root(F a) {
    TENON_LANES a.v[lane] = __builtin_sqrtf(a.v[lane]);
    return a;
}
// In two steps, so that n from -252 to 254 never leaves the exponent's range on the way.
TENON_INLINE F scale_by_power_of_two(F a, F n) {
    TENON_LANES {
        const int32_t whole = static_cast<int32_t>(n.v[lane]);
        const int32_t first = whole >> 1;
        a.v[lane] = a.v[lane] * float_of_bits(static_cast<uint32_t>(first + 127) << 23) *
                    float_of_bits(static_cast<uint32_t>(whole - first + 127) << 23);
    }
    return a;
}
TENON_INLINE F keep_nan(F x, F result) {
    TENON_LANES result.v[lane] = x.v[lane] != x.v[lane] ? x.v[lane] : result.v[lane];
    return result;
}
// Lanes in [begin, end) of a, other elsewhere.
TENON_INLINE F select_range(F a, uint32_t begin, uint32_t end, F other) {
    TENON_LANES a.v[lane] = lane >= begin && lane < end ? a.v[lane] : other.v[lane];
    return a;
}
// The tree of every level: lane i with i + 8, then + 4, + 2, + 1.
TENON_INLINE float sum_lanes(F a) {
    for (uint32_t half = 8; half > 0; half /= 2)
        for (uint32_t lane = 0; lane < half; ++lane)
            a.v[lane] += a.v[lane + half];
    return a.v[0];
}
TENON_INLINE float largest_lane(F a) {
    float largest = a.v[0];
    TENON_LANES largest = a.v[lane] > largest ? a.v[lane] : largest;
    return largest;
}
TENON_INLINE F to_float(I a) {
    F r;
    TENON_LANES r.v[lane] = static_cast<float>(a.v[lane]);
    return r;
}
TENON_INLINE I set_int(int32_t a) {
    I r;
    TENON_LANES r.v[lane] = a;
    return r;
}
TENON_INLINE I zero_int() { return set_int(0); }

// Larger of |a| and |b| as bit patterns: a NaN beats every number, so it is never lost.
TENON_INLINE I magnitude_max(I largest, F a) {
    TENON_LANES {
        const int32_t bits = static_cast<int32_t>(bits_of_float(a.v[lane]) & 0x7fffffffu);
        largest.v[lane] = bits > largest.v[lane] ? bits : largest.v[lane];
    }
    return largest;
}
TENON_INLINE float largest_magnitude(I a) {
    int32_t largest = a.v[0];
    TENON_LANES largest = a.v[lane] > largest ? a.v[lane] : largest;
    return float_of_bits(static_cast<uint32_t>(largest));
}
// Rounds to the nearest integer (ties to even), stores 16 signed bytes, returns their sum.
TENON_INLINE int32_t store_rounded_bytes(int8_t* p, F a) {
    int32_t sum = 0;
    TENON_LANES {
        const float rounded = round_nearest(a.v[lane]);
        const bool in_range = rounded >= -128.0f && rounded <= 127.0f;  // false for NaN
        const int32_t value = in_range ? static_cast<int32_t>(rounded) : -128;
        p[lane] = static_cast<int8_t>(value);
        sum += value;
    }
    return sum;
}
// Marks the lanes of a that are not below the limit, NaN included; marks stay.
TENON_INLINE I mark_not_below(I marks, F a, F limit) {
    TENON_LANES marks.v[lane] |= a.v[lane] < limit.v[lane] ? 0 : -1;
    return marks;
}
TENON_INLINE bool any_mark(I marks) {
    int32_t all = 0;
    TENON_LANES all |= marks.v[lane];
    return all != 0;
}
TENON_INLINE void prefetch(const void*) {}

#undef TENON_LANES

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
