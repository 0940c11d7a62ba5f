// The noise of SAMPLE and the fixed-point functions around it, bit for bit.
//
// Everything is 32-bit integer arithmetic with 32x32 -> 64 products, so that a CPU, a GPU shader and a
// script agree on every bit. Numbers named q25, q30, q31 are fixed point with that many bits behind the
// point. Right shifts of negative numbers round towards minus infinity.
//
// Error of gumbel() against -ln(-ln((u + 0.5) / 2^32)) in double: below 2e-6 over the whole range
// -3.13 .. 22.87 of its values (tests/core/ops/sample_test.cpp measures it).
#pragma once

#include <cstdint>

namespace tenon::reference {

struct Words4 {
    uint32_t w[4];
};

// Philox4x32 with 10 rounds: a counter-based generator, one block of 128 bits per counter and key.
// J. K. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011; the multipliers and the
// Weyl increments are theirs, and the known answers of their library are in the test.
inline Words4 philox4x32(Words4 counter, uint32_t key0, uint32_t key1) {
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xD2511F53u} * counter.w[0];
        const uint64_t b = uint64_t{0xCD9E8D57u} * counter.w[2];
        counter = {{static_cast<uint32_t>(b >> 32) ^ counter.w[1] ^ key0, static_cast<uint32_t>(b),
                    static_cast<uint32_t>(a >> 32) ^ counter.w[3] ^ key1,
                    static_cast<uint32_t>(a)}};
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return counter;
}

// The random word of one token: counter (token / 4, position, 0, 0), key (low, high word of the seed),
// word token % 4 of the block.
inline uint32_t noise_word(uint64_t seed, int32_t position, uint32_t token) {
    const Words4 block = philox4x32({{token / 4, static_cast<uint32_t>(position), 0, 0}},
                                    static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32));
    return block.w[token % 4];
}

// Horner's rule: coefficients in q30, lowest first; x in q31, below 1; result in q30.
template <int kCount>
inline int32_t polynomial_q30(const int32_t (&coefficients)[kCount], uint32_t x_q31) {
    int32_t sum = coefficients[kCount - 1];
    for (int i = kCount - 2; i >= 0; --i) {
        const int64_t product = int64_t{sum} * static_cast<int32_t>(x_q31);
        sum = coefficients[i] + static_cast<int32_t>(product >> 31);
    }
    return sum;
}

// log2(1 + x), x in [0, 1): interpolation at 10 Chebyshev nodes, within 1.8e-8.
inline constexpr int32_t kLog2OnePlus[] = {0,         1549080120, -774477404, 515511779, -381367999,
                                           285362381, -192817251, 101829719,  -35052638, 5673113};

// log2(-ln(1 - x/2) / (x/2)), x in [0, 1): interpolation at 9 Chebyshev nodes, within 2.4e-8.
inline constexpr int32_t kLog2LogRatio[] = {0,        387269089, 80718481, 23833482, 10264068,
                                            -1740553, 8816882,   -5732770, 2554549};

// 2^-x, x in [0, 1): interpolation at 7 Chebyshev nodes, within 2.4e-9.
inline constexpr int32_t kExp2Negative[] = {1 << 30,  -744260973, 257938912, -59582935,
                                            10286296, -1369601,   117391};

// log2 of n > 0, in q25.
inline int32_t log2_q25(uint32_t n) {
    int32_t exponent = 31;
    while ((n & 0x80000000u) == 0) {
        n <<= 1;
        --exponent;
    }
    return (exponent << 25) + (polynomial_q30(kLog2OnePlus, n & 0x7fffffffu) >> 5);
}

// -log2 of the exponential variate -ln(U), U = (u + 0.5) / 2^32, in q25. With w = 2u + 1, U = w / 2^33.
// The upper half works on 1 - U, because the noise that decides among many tokens comes from U near 1.
inline int32_t gumbel_log2_q25(uint32_t u) {
    if (u >= 0x80000000u) {
        // d = 2^33 - w, odd; -ln(U) = (d / 2^33) * ratio(d / 2^33), and d / 2^33 = x / 2.
        const uint32_t d = 0u - (2u * u + 1u);
        return (33 << 25) - log2_q25(d) - (polynomial_q30(kLog2LogRatio, d >> 1) >> 5);
    }
    // -log2(U) in [1, 33]; its log2, less 25 for the fixed point, plus log2(ln 2) = -17742455 / 2^25.
    const uint32_t bits_q25 = (33u << 25) - static_cast<uint32_t>(log2_q25(2u * u + 1u));
    return (25 << 25) - log2_q25(bits_q25) + 17742455;
}

// Standard Gumbel noise of a random word: a product by ln 2 (in q31), one integer-to-float conversion,
// rounded to nearest, and one exact product by 2^-25. Exact, so that a compiler which fuses it with a
// later sum changes no bit.
inline float gumbel(uint32_t u) {
    const int64_t natural_q25 = (int64_t{gumbel_log2_q25(u)} * 1488522236) >> 31;
    return static_cast<float>(static_cast<int32_t>(natural_q25)) * 0x1p-25f;
}

// Weight of a candidate whose scaled logit lies `below` (<= 0) from the best one: 2^30 * exp(below),
// rounded as written: one float product by 2^25 log2(e), truncated. 0 from 31 octaves on.
inline uint32_t candidate_weight_q30(float below) {
    const float octaves_q25 = below * -48408812.0f;
    if (!(octaves_q25 < 1040187392.0f)) return 0;  // 31 * 2^25
    const uint32_t n = static_cast<uint32_t>(octaves_q25);
    const int32_t fraction = polynomial_q30(kExp2Negative, (n & 0x1ffffffu) << 6);
    return static_cast<uint32_t>(fraction) >> (n >> 25);
}

}  // namespace tenon::reference
