// Exact 16-element products of codes on NEON, by what the level offers: SMULL and its friends, SDOT,
// or SMMLA for pairs of tokens; included by matmul-inl.h alone.
//
// Four lanes of a row are one register; 4-bit codes are below 16 and 8-bit ones lose their offset of
// 128, so both are signed bytes.
#pragma once

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kFastTokens = 4;

template <class Format, uint32_t Tokens>
TENON_INLINE void prefetch_ahead(const uint8_t* w, size_t next_group) {
    if (next_group == 0) return;
#pragma GCC unroll 9
    for (uint32_t line = 0; line < Format::kBlockBytes; line += 64) prefetch(w + next_group + line);
}

// Elements 4j .. 4j+3 of half Half of lanes 4q .. 4q+3.
template <class Format, uint32_t Half>
TENON_INLINE int8x16_t signed_codes(const uint8_t* w, uint32_t q, uint32_t j) {
    if constexpr (Format::kNibbles) {
        const uint8x16_t both = vld1q_u8(w + 64 * j + 16 * q);
        const uint8x16_t codes = Half == 0 ? vandq_u8(both, vdupq_n_u8(15)) : vshrq_n_u8(both, 4);
        return vreinterpretq_s8_u8(codes);
    } else {
        static_assert(Format::kZeroPoint == 128);
        const uint8x16_t codes = vld1q_u8(w + 64 * (4 * Half + j) + 16 * q);
        return vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(128)));
    }
}

// What a product starts from: 8-bit codes have lost their zero point already.
template <class Format, uint32_t Half>
TENON_INLINE int32x4_t first_sum(const ActivationBlock& x, uint32_t slot) {
    if constexpr (Format::kNibbles)
        return vdupq_n_s32(x.minus_sum[Half][slot] * Format::kZeroPoint);
    else
        return vdupq_n_s32(0);
}

#if TENON_ISA_LEVEL >= 4

template <class Format, uint32_t Half>
TENON_INLINE void dot_token(const int8x16_t (&w)[4], const ActivationBlock& x, uint32_t slot,
                            uint32_t q, I* dot) {
    const int8x16_t codes = vld1q_s8(x.codes[slot] + 16 * Half);
    int32x4_t sum = first_sum<Format, Half>(x, slot);
    sum = vdotq_laneq_s32(sum, w[0], codes, 0);
    sum = vdotq_laneq_s32(sum, w[1], codes, 1);
    sum = vdotq_laneq_s32(sum, w[2], codes, 2);
    sum = vdotq_laneq_s32(sum, w[3], codes, 3);
    dot->q[q] = sum;
}

#else

// A product of 4 bits and 8 is at most 15 * 128, so four stay within 16 bits. Of 8-bit codes two do:
// activations are never below -127 unless the row holds a NaN.
template <class Format, uint32_t Half>
TENON_INLINE void dot_token(const int8x16_t (&w)[4], const ActivationBlock& x, uint32_t slot,
                            uint32_t q, I* dot) {
    const int8_t* codes = x.codes[slot] + 16 * Half;
    int32x4_t sum[2];
    int16x8_t product[2];
#pragma GCC unroll 4
    for (uint32_t j = 0; j < 4; ++j) {
        int32_t word;
        __builtin_memcpy(&word, codes + 4 * j, sizeof word);
        const int8x16_t other = vreinterpretq_s8_s32(vdupq_n_s32(word));
        if (j == 0 || (!Format::kNibbles && j == 2)) {
            product[0] = vmull_s8(vget_low_s8(w[j]), vget_low_s8(other));
            product[1] = vmull_high_s8(w[j], other);
        } else {
            product[0] = vmlal_s8(product[0], vget_low_s8(w[j]), vget_low_s8(other));
            product[1] = vmlal_high_s8(product[1], w[j], other);
        }
        if (j == (Format::kNibbles ? 3u : 1u)) {
            sum[0] = vpaddlq_s16(product[0]);
            sum[1] = vpaddlq_s16(product[1]);
        } else if (!Format::kNibbles && j == 3) {
            sum[0] = vpadalq_s16(sum[0], product[0]);
            sum[1] = vpadalq_s16(sum[1], product[1]);
        }
    }
    dot->q[q] = vaddq_s32(first_sum<Format, Half>(x, slot), vpaddq_s32(sum[0], sum[1]));
}

#endif

#if TENON_ISA_LEVEL >= 5

// Eight columns of four lanes as two matrices of two lanes.
TENON_INLINE int8x16_t first_lanes(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s32(vzip1q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}
TENON_INLINE int8x16_t last_lanes(int8x16_t a, int8x16_t b) {
    return vreinterpretq_s8_s32(vzip2q_s32(vreinterpretq_s32_s8(a), vreinterpretq_s32_s8(b)));
}

// Two tokens at once: a lane's matrix against theirs gives a row of two sums.
template <class Format, uint32_t Half>
TENON_INLINE void dot_two_tokens(const int8x16_t (&w)[4], const ActivationBlock& x, uint32_t slot,
                                 uint32_t q, I* dot) {
    const int8x16_t one = vld1q_s8(x.codes[slot] + 16 * Half);
    const int8x16_t two = vld1q_s8(x.codes[slot + 1] + 16 * Half);
    const int8x16_t begin = vcombine_s8(vget_low_s8(one), vget_low_s8(two));
    const int8x16_t end = vcombine_s8(vget_high_s8(one), vget_high_s8(two));
    const int32x4_t start = vzip1q_s32(first_sum<Format, Half>(x, slot),
                                       first_sum<Format, Half>(x, slot + 1));
    int32x4_t low = vmmlaq_s32(start, first_lanes(w[0], w[1]), begin);
    int32x4_t high = vmmlaq_s32(start, last_lanes(w[0], w[1]), begin);
    low = vmmlaq_s32(low, first_lanes(w[2], w[3]), end);
    high = vmmlaq_s32(high, last_lanes(w[2], w[3]), end);
    dot[0].q[q] = vuzp1q_s32(low, high);
    dot[1].q[q] = vuzp2q_s32(low, high);
}

#endif

template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void dot_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, I* dot) {
#pragma GCC unroll 4
    for (uint32_t q = 0; q < 4; ++q) {
        const int8x16_t codes[4] = {
            signed_codes<Format, Half>(w, q, 0), signed_codes<Format, Half>(w, q, 1),
            signed_codes<Format, Half>(w, q, 2), signed_codes<Format, Half>(w, q, 3)};
        uint32_t t = 0;
#if TENON_ISA_LEVEL >= 5
#pragma GCC unroll 2
        for (; t + 2 <= Tokens; t += 2)
            dot_two_tokens<Format, Half>(codes, x, slot + t, q, dot + t);
#endif
#pragma GCC unroll 4
        for (; t < Tokens; ++t) dot_token<Format, Half>(codes, x, slot + t, q, dot + t);
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

} // namespace tenon::kernels::TENON_ISA_NAMESPACE
