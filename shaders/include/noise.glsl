// The noise of SAMPLE and the fixed-point functions around it, bit for bit as
// tenon/reference/noise.h, which explains them. Numbers named q25, q30, q31 are fixed point with
// that many bits behind the point.
#ifndef TENON_SHADERS_NOISE_GLSL
#define TENON_SHADERS_NOISE_GLSL

uvec4 philox4x32(uvec4 counter, uvec2 key) {
    for (int round = 0; round < 10; ++round) {
        uvec2 a;
        uvec2 b;
        umulExtended(0xD2511F53u, counter.x, a.y, a.x);
        umulExtended(0xCD9E8D57u, counter.z, b.y, b.x);
        counter = uvec4(b.y ^ counter.y ^ key.x, b.x, a.y ^ counter.w ^ key.y, a.x);
        key += uvec2(0x9E3779B9u, 0xBB67AE85u);
    }
    return counter;
}

// The random words of tokens 4 * block .. 4 * block + 3.
uvec4 noise_words(uvec2 seed, uint position, uint block) {
    return philox4x32(uvec4(block, position, 0u, 0u), seed);
}

// (a * b) >> 31 of a signed product.
int multiply_q31(int a, int b) {
    int high;
    int low;
    imulExtended(a, b, high, low);
    return (high << 1) | int(uint(low) >> 31);
}

// Horner's rule, one step: coefficients in q30, x in q31, below 1. Written out, because a loop here
// would be run for every token.
int horner(int coefficient, int sum, int x) { return coefficient + multiply_q31(sum, x); }

int log2_one_plus(int x) {
    int sum = horner(-35052638, 5673113, x);
    sum = horner(101829719, sum, x);
    sum = horner(-192817251, sum, x);
    sum = horner(285362381, sum, x);
    sum = horner(-381367999, sum, x);
    sum = horner(515511779, sum, x);
    sum = horner(-774477404, sum, x);
    sum = horner(1549080120, sum, x);
    return horner(0, sum, x);
}

int log2_log_ratio(int x) {
    int sum = horner(-5732770, 2554549, x);
    sum = horner(8816882, sum, x);
    sum = horner(-1740553, sum, x);
    sum = horner(10264068, sum, x);
    sum = horner(23833482, sum, x);
    sum = horner(80718481, sum, x);
    sum = horner(387269089, sum, x);
    return horner(0, sum, x);
}

int exp2_negative(int x) {
    int sum = horner(-1369601, 117391, x);
    sum = horner(10286296, sum, x);
    sum = horner(-59582935, sum, x);
    sum = horner(257938912, sum, x);
    sum = horner(-744260973, sum, x);
    return horner(1 << 30, sum, x);
}

// log2 of n > 0, in q25.
int log2_q25(uint n) {
    const int exponent = findMSB(n);
    n <<= uint(31 - exponent);
    return (exponent << 25) + (log2_one_plus(int(n & 0x7fffffffu)) >> 5);
}

// -log2 of the exponential variate of a random word, in q25.
int gumbel_log2_q25(uint u) {
    if (u >= 0x80000000u) {
        const uint d = 0u - (2u * u + 1u);
        return (33 << 25) - log2_q25(d) - (log2_log_ratio(int(d >> 1)) >> 5);
    }
    const uint bits_q25 = (33u << 25) - uint(log2_q25(2u * u + 1u));
    return (25 << 25) - log2_q25(bits_q25) + 17742455;
}

// Standard Gumbel noise of a random word.
float gumbel(uint u) {
    precise float natural = float(multiply_q31(gumbel_log2_q25(u), 1488522236));
    precise float noise = natural * uintBitsToFloat((127u - 25u) << 23);
    return noise;
}

// No noise of this word is higher: with n leading ones, -ln(U) >= 1 - U >= 2^-(n + 1), and the
// noise is at most (n + 1) ln 2, but for the 2e-6 by which gumbel() is off.
float gumbel_bound(uint u) {
    return float(32 - findMSB(~u)) * 0.69315 + 1e-4;
}

// Weight of a candidate that lies `below`, the bits of a float >= 0, under the best one: 2^30 *
// exp. A subnormal product that the device flushes is truncated to the same 0.
uint candidate_weight_q30(uint below) {
    if (below >= 0x7f800000u) return 0u;
    precise float octaves_q25 = uintBitsToFloat(below) * 48408812.0;
    if (floatBitsToUint(octaves_q25) >= 0x4e780000u) return 0u;  // 31 * 2^25
    const uint n = uint(octaves_q25);
    return uint(exp2_negative(int((n & 0x1ffffffu) << 6))) >> (n >> 25);
}

#endif
