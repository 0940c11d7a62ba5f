// Exact 16-element products of codes on NEON, by what the level offers: SMULL and its friends,
// SDOT, or USDOT and for pairs of tokens USMMLA; included by matmul-inl.h alone.
//
// Four lanes of a row are one register. Codes multiply as stored where a level takes unsigned bytes
// times signed ones. Below it both must be signed: 4-bit codes are below 16 anyway, 8-bit ones lose
// their offset of 128.
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kFastTokens = 4;

template <class Format, uint32_t Tokens>
TENON_INLINE void prefetch_ahead(const uint8_t* w, size_t next_group) {
    if (next_group == 0) return;
#pragma GCC unroll 9
    for (uint32_t line = 0; line < Format::kBlockBytes; line += 64)
        prefetch(w + next_group + line);
}

#if TENON_ISA_LEVEL >= 5
using Codes = uint8x16_t;
constexpr bool kSignedCodes = false;
TENON_INLINE Codes codes_of(uint8x16_t codes) { return codes; }
#else
using Codes = int8x16_t;
constexpr bool kSignedCodes = true;
TENON_INLINE Codes codes_of(uint8x16_t codes) { return vreinterpretq_s8_u8(codes); }
#endif

// Elements 4j .. 4j+3 of half Half of lanes 4q .. 4q+3.
template <class Format, uint32_t Half>
TENON_INLINE Codes load_codes(const uint8_t* w, uint32_t q, uint32_t j) {
    if constexpr (Format::kNibbles) {
        const uint8x16_t both = vld1q_u8(w + 64 * j + 16 * q);
        return codes_of(Half == 0 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4));
    } else {
        static_assert(Format::kZeroPoint == 128);
        const uint8x16_t codes = vld1q_u8(w + 64 * (4 * Half + j) + 16 * q);
        return codes_of(kSignedCodes ? veorq_u8(codes, vdupq_n_u8(128)) : codes);
    }
}

// Sixteen columns of some tokens: codes, and what their products start from, which is 0 where the
// weights have lost their zero point already. With i8mm the codes of two tokens lie as the matrices
// of their first eight columns and of their last eight.
template <uint32_t Tokens>
struct HalfActivations {
    int8x16_t codes[Tokens];
    int32_t start[Tokens];
};

template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE HalfActivations<Tokens> load_activations(const ActivationBlock& x, uint32_t slot) {
    HalfActivations<Tokens> a;
#pragma GCC unroll 4
    for (uint32_t t = 0; t < Tokens; ++t) {
        a.codes[t] = vld1q_s8(x.codes[slot + t] + 16 * Half);
        const bool lost = kSignedCodes && !Format::kNibbles;
        a.start[t] = lost ? 0 : x.minus_sum[Half][slot + t] * Format::kZeroPoint;
    }
#if TENON_ISA_LEVEL >= 5
#pragma GCC unroll 2
    for (uint32_t t = 0; t + 2 <= Tokens; t += 2) {
        const int64x2_t one = vreinterpretq_s64_s8(a.codes[t]);
        const int64x2_t two = vreinterpretq_s64_s8(a.codes[t + 1]);
        a.codes[t] = vreinterpretq_s8_s64(vzip1q_s64(one, two));
        a.codes[t + 1] = vreinterpretq_s8_s64(vzip2q_s64(one, two));
    }
#endif
    return a;
}

#if TENON_ISA_LEVEL >= 5

template <class Format>
TENON_INLINE int32x4_t dot_token(const Codes (&w)[4], int8x16_t codes, int32_t start) {
    int32x4_t sum = vdupq_n_s32(start);
    sum = vusdotq_laneq_s32(sum, w[0], codes, 0);
    sum = vusdotq_laneq_s32(sum, w[1], codes, 1);
    sum = vusdotq_laneq_s32(sum, w[2], codes, 2);
    return vusdotq_laneq_s32(sum, w[3], codes, 3);
}

// Eight columns of four lanes as two matrices of two lanes.
TENON_INLINE Codes first_lanes(Codes a, Codes b) {
    return vreinterpretq_u8_u32(vzip1q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}
TENON_INLINE Codes last_lanes(Codes a, Codes b) {
    return vreinterpretq_u8_u32(vzip2q_u32(vreinterpretq_u32_u8(a), vreinterpretq_u32_u8(b)));
}

// Two tokens at once: a matrix of two lanes against theirs gives both sums of each lane.
TENON_INLINE void dot_two_tokens(const Codes (&w)[4], const int8x16_t* codes, const int32_t* start,
                                 int32x4_t* dot) {
    const int32x4_t begin = vzip1q_s32(vdupq_n_s32(start[0]), vdupq_n_s32(start[1]));
    int32x4_t low = vusmmlaq_s32(begin, first_lanes(w[0], w[1]), codes[0]);
    int32x4_t high = vusmmlaq_s32(begin, last_lanes(w[0], w[1]), codes[0]);
    low = vusmmlaq_s32(low, first_lanes(w[2], w[3]), codes[1]);
    high = vusmmlaq_s32(high, last_lanes(w[2], w[3]), codes[1]);
    dot[0] = vuzp1q_s32(low, high);
    dot[1] = vuzp2q_s32(low, high);
}

#elif TENON_ISA_LEVEL == 4

template <class Format>
TENON_INLINE int32x4_t dot_token(const Codes (&w)[4], int8x16_t codes, int32_t start) {
    int32x4_t sum = vdupq_n_s32(start);
    sum = vdotq_laneq_s32(sum, w[0], codes, 0);
    sum = vdotq_laneq_s32(sum, w[1], codes, 1);
    sum = vdotq_laneq_s32(sum, w[2], codes, 2);
    return vdotq_laneq_s32(sum, w[3], codes, 3);
}

#else

// Columns 4j .. 4j+3 of the token against lanes 0 and 1, and against 2 and 3.
struct Products {
    int16x8_t low, high;
};
TENON_INLINE Products multiply(Codes w, int32x4_t columns) {
    const int8x16_t codes = vreinterpretq_s8_s32(columns);
    return {vmull_s8(vget_low_s8(w), vget_low_s8(codes)), vmull_high_s8(w, codes)};
}
TENON_INLINE Products multiply_more(Products sum, Codes w, int32x4_t columns) {
    const int8x16_t codes = vreinterpretq_s8_s32(columns);
    return {vmlal_s8(sum.low, vget_low_s8(w), vget_low_s8(codes)),
            vmlal_high_s8(sum.high, w, codes)};
}

// A product of 4 bits and 8 is at most 15 * 128, so four stay within 16 bits. Of 8-bit codes two
// do: activations are never below -127 unless the row holds a NaN.
template <class Format>
TENON_INLINE int32x4_t dot_token(const Codes (&w)[4], int8x16_t codes, int32_t start) {
    const int32x4_t columns = vreinterpretq_s32_s8(codes);
    Products sum = multiply(w[0], vdupq_laneq_s32(columns, 0));
    sum = multiply_more(sum, w[1], vdupq_laneq_s32(columns, 1));
    int32x4_t low, high;
    if constexpr (Format::kNibbles) {
        sum = multiply_more(sum, w[2], vdupq_laneq_s32(columns, 2));
        sum = multiply_more(sum, w[3], vdupq_laneq_s32(columns, 3));
        low = vpaddlq_s16(sum.low);
        high = vpaddlq_s16(sum.high);
    } else {
        Products rest = multiply(w[2], vdupq_laneq_s32(columns, 2));
        rest = multiply_more(rest, w[3], vdupq_laneq_s32(columns, 3));
        low = vpadalq_s16(vpaddlq_s16(sum.low), rest.low);
        high = vpadalq_s16(vpaddlq_s16(sum.high), rest.high);
    }
    return vaddq_s32(vdupq_n_s32(start), vpaddq_s32(low, high));
}

#endif

// Lanes 4q .. 4q+3 of the products of every token.
template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_quarter(const uint8_t* w, uint32_t q, const HalfActivations<Tokens>& a,
                              int32x4_t* dot) {
    const Codes codes[4] = {load_codes<Format, Half>(w, q, 0), load_codes<Format, Half>(w, q, 1),
                            load_codes<Format, Half>(w, q, 2), load_codes<Format, Half>(w, q, 3)};
    uint32_t t = 0;
#if TENON_ISA_LEVEL >= 5
#pragma GCC unroll 2
    for (; t + 2 <= Tokens; t += 2)
        dot_two_tokens(codes, a.codes + t, a.start + t, dot + t);
#endif
#pragma GCC unroll 4
    for (; t < Tokens; ++t)
        dot[t] = dot_token<Format>(codes, a.codes[t], a.start[t]);
}

template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, I* dot) {
    const HalfActivations<Tokens> a = load_activations<Format, Tokens, Half>(x, slot);
#pragma GCC unroll 4
    for (uint32_t q = 0; q < 4; ++q) {
        int32x4_t quarter[Tokens];
        dot_quarter<Format, Tokens, Half>(w, q, a, quarter);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t)
            dot[t].q[q] = quarter[t];
    }
}

// The shared add_half, quarter by quarter: the products of all quarters and the totals of more than
// two tokens do not fit 32 registers, and the compiler would interleave the quarters.
template <class Format, uint32_t Tokens, uint32_t Half>
requires(Tokens > 2) TENON_INLINE
    void add_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, F scale, F* total) {
    const HalfActivations<Tokens> a = load_activations<Format, Tokens, Half>(x, slot);
#pragma GCC unroll 4
    for (uint32_t q = 0; q < 4; ++q) {
        int32x4_t dot[Tokens];
        dot_quarter<Format, Tokens, Half>(w, q, a, dot);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t)
            total[t].q[q] = vfmaq_f32(total[t].q[q], vcvtq_f32_s32(dot[t]),
                                      vmulq_n_f32(scale.q[q], x.scale[Half][slot + t]));
        __asm__ volatile("" ::: "memory");
    }
}

template <class Format>
TENON_INLINE void decode_codes(const uint8_t* w, F scale, F min, float* out) {
    for (uint32_t j = 0; j < Format::kCodeBytes / 64; ++j) {
#pragma GCC unroll 4
        for (uint32_t q = 0; q < 4; ++q) {
            const uint32x4_t raw = vreinterpretq_u32_u8(vld1q_u8(w + 64 * j + 16 * q));
#pragma GCC unroll 4
            for (uint32_t i = 0; i < 4; ++i) {
                const int32x4_t shift = vdupq_n_s32(-8 * static_cast<int32_t>(i));
                const uint32x4_t code = vandq_u32(vshlq_u32(raw, shift), vdupq_n_u32(255));
                float* first = out + (4 * j + i) * kLanes + 4 * q;
                if constexpr (Format::kNibbles) {
                    const float32x4_t low = vcvtq_f32_u32(vandq_u32(code, vdupq_n_u32(15)));
                    const float32x4_t high = vcvtq_f32_u32(vshrq_n_u32(code, 4));
                    vst1q_f32(first, vfmaq_f32(min.q[q], low, scale.q[q]));
                    vst1q_f32(first + 16 * kLanes, vfmaq_f32(min.q[q], high, scale.q[q]));
                } else {
                    vst1q_f32(first, vfmaq_f32(min.q[q], vcvtq_f32_u32(code), scale.q[q]));
                }
            }
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
