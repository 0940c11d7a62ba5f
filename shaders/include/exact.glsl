// Float arithmetic with one answer on every device: by bit patterns and 32-bit integers, where
// Vulkan leaves a device freedom (division, subnormal numbers, NaN). Floats travel as their bits.
#ifndef TENON_SHADERS_EXACT_GLSL
#define TENON_SHADERS_EXACT_GLSL

const uint kInfinityBits = 0x7f800000u;

bool is_finite_bits(uint bits) { return (bits & kInfinityBits) != kInfinityBits; }

// NaN of either sign, or +infinity.
bool is_broken_bits(uint bits) {
    return bits == kInfinityBits || (bits & 0x7fffffffu) > kInfinityBits;
}

// An integer in the order of the finite and infinite floats; -0 and +0 are equal. Finite floats
// have keys of 0x00800000 and more.
uint order_key(uint bits) {
    if (bits == 0x80000000u) return 0x80000000u;
    return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}

// The bits whose key this is; of the zeros, +0.
uint bits_of_key(uint key) { return (key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key; }

// Sums of 64 bits, low word first.
uvec2 add_wide(uvec2 sum, uint word) {
    uint carry;
    const uint low = uaddCarry(sum.x, word, carry);
    return uvec2(low, sum.y + carry);
}

uvec2 add_wide(uvec2 a, uvec2 b) {
    uint carry;
    const uint low = uaddCarry(a.x, b.x, carry);
    return uvec2(low, a.y + b.y + carry);
}

bool less_wide(uvec2 a, uvec2 b) { return a.y < b.y || (a.y == b.y && a.x < b.x); }

// A non-negative number: mantissa * 2^exponent, with mantissa 0 or in [2^23, 2^24).
struct Magnitude {
    uint mantissa;
    int exponent;
    bool infinite;
};

// A finite number of biased exponent below 26, times 2^149: below 2^49, so a normal float or 0.
float scaled_small(uint bits) {
    const uint field = (bits >> 23) & 255u;
    const uint mantissa = field == 0u ? bits & 0x7fffffu : (bits & 0x7fffffu) | 0x800000u;
    const uint power = max(field, 1u) - 1u;
    precise float value = float(mantissa) * uintBitsToFloat((127u + power) << 23);
    return (bits & 0x80000000u) != 0u ? -value : value;
}

// high - low rounded to nearest, of finite floats with low <= high, subnormal ones and subnormal
// results included, whether the device keeps or flushes those:
//  - With a biased exponent of 26 or more on either side, a subnormal on the other is less than
//    half of what separates the larger one from its neighbours and may be read as 0; and a
//    difference that is not 0 is at least 2^-126, because only numbers within a factor of two of
//    each other cancel further than that, and these are both multiples of 2^-125.
//  - Otherwise both, times 2^149, are integers below 2^49 and normal floats. A power of two does
//    not change how a normal difference is rounded, and a subnormal one (below 2^23 then) is exact.
Magnitude difference_of(uint high, uint low) {
    const bool small = max((high >> 23) & 255u, (low >> 23) & 255u) < 26u;
    precise float result;
    if (small)
        result = scaled_small(high) - scaled_small(low);
    else
        result = uintBitsToFloat(high) - uintBitsToFloat(low);
    const uint bits = floatBitsToUint(result) & 0x7fffffffu;
    Magnitude m;
    m.infinite = bits >= kInfinityBits;
    m.mantissa = bits < 0x800000u ? 0u : (bits & 0x7fffffu) | 0x800000u;
    m.exponent = int(bits >> 23) - 150 - (small ? 149 : 0);
    return m;
}

// Bits of value / divisor rounded to nearest even, for a divisor that is a normal float > 0 or
// +infinity. Overflow gives infinity; subnormal results are right.
//
// With n = mantissa of the value, doubled if it is below d = mantissa of the divisor, n / d lies in
// [1, 2), and q = floor(2^24 n / d) in [2^24, 2^25) holds the 24 bits of a normal result and one
// more; whether anything lies below is whether the remainder 2^24 n - q d is 0. Rounding needs no
// more than that: q is cut by one bit, or by as many as a subnormal result has fewer. The device's
// own division (within 2.5 ULP, or anything up to 60) gives q within 122; the remainder of that
// estimate is below 2^31, so its low 32 bits, read as signed, are all of it, and the loops end at
// the q with 0 <= remainder < d.
uint divide_bits(Magnitude value, uint divisor) {
    if (value.infinite) return kInfinityBits;
    if (value.mantissa == 0u || divisor >= kInfinityBits) return 0u;
    const uint d = (divisor & 0x7fffffu) | 0x800000u;
    const uint doubled = value.mantissa < d ? 1u : 0u;
    const uint n = value.mantissa << doubled;
    uint q = uint((float(n) / float(d)) * 16777216.0);
    int remainder = int((n << 24) - q * d);
    while (remainder < 0) {
        --q;
        remainder += int(d);
    }
    while (remainder >= int(d)) {
        ++q;
        remainder -= int(d);
    }
    // Biased exponent of the result, if it is normal.
    const int field = value.exponent - (int(divisor >> 23) - 150) - int(doubled) + 127;
    if (field >= 255) return kInfinityBits;
    if (field <= -24) return 0u;
    const uint cut = uint(max(1, 2 - field));
    const uint kept = q >> cut;
    const uint rest = q & ((1u << cut) - 1u);
    const uint half_of_last = 1u << (cut - 1u);
    const bool tie_up = remainder != 0 || (kept & 1u) != 0u;
    const bool up = rest > half_of_last || (rest == half_of_last && tie_up);
    // A carry out of the mantissa is the next exponent.
    return (uint(max(field - 1, 0)) << 23) + kept + (up ? 1u : 0u);
}

// trunc(2^bits * x) of a float x in [0, 1], for bits <= 30.
uint fixed_point(uint x, uint bits) {
    if (x >= 0x3f800000u) return 1u << bits;
    const uint mantissa = (x & 0x7fffffu) | 0x800000u;
    const int shift = 150 - int(bits) - int(x >> 23);
    if (shift <= 0) return mantissa << uint(-shift);
    return shift < 24 ? mantissa >> uint(shift) : 0u;
}

#endif
