// Numbers of 8 and 16 bits by integer arithmetic: rounding to nearest, ties to even.
#ifndef TENON_SHADERS_HALF_GLSL
#define TENON_SHADERS_HALF_GLSL

// `bits` without its lowest `drop` bits (1 .. 24), rounded to nearest even.
uint round_off(uint bits, uint drop) {
    const uint half_less_one = (1u << (drop - 1u)) - 1u;
    return (bits + half_less_one + ((bits >> drop) & 1u)) >> drop;
}

// The magnitude of `x` as a float of `mantissa` stored bits whose smallest normal number is
// 2^exponent_min, -126 < exponent_min: exponent field and mantissa, the field not bounded above.
uint round_magnitude(float x, uint mantissa, int exponent_min) {
    const uint bits = floatBitsToUint(x) & 0x7fffffffu;
    const int exponent = int(bits >> 23) - 127;
    if (exponent >= exponent_min)
        return round_off(bits - (uint(exponent_min + 126) << 23), 23u - mantissa);
    // A subnormal there: its quantum is 2^(exponent_min - mantissa).
    const uint drop = uint(min(exponent_min - exponent, 30)) + 23u - mantissa;
    return drop > 24u ? 0u : round_off((bits & 0x007fffffu) | 0x00800000u, drop);
}

bool is_not_a_number(float x) {
    return (floatBitsToUint(x) & 0x7fffffffu) > 0x7f800000u;
}

uint to_f16(float x) {
    const uint sign = (floatBitsToUint(x) >> 16) & 0x8000u;
    if (is_not_a_number(x)) return sign | 0x7e00u;
    return sign | min(round_magnitude(x, 10u, -14), 0x7c00u);
}

uint to_bf16(float x) {
    const uint bits = floatBitsToUint(x);
    if (is_not_a_number(x)) return (bits >> 16) | 0x40u;
    return round_off(bits, 16u);
}

// OCP E4M3 without infinities: what is beyond 448 becomes 448.
uint to_f8_e4m3(float x) {
    const uint sign = (floatBitsToUint(x) >> 24) & 0x80u;
    if (is_not_a_number(x)) return sign | 0x7fu;
    return sign | min(round_magnitude(x, 3u, -6), 0x7eu);
}

// OCP E5M2: what is beyond 57344 becomes 57344.
uint to_f8_e5m2(float x) {
    const uint sign = (floatBitsToUint(x) >> 24) & 0x80u;
    if (is_not_a_number(x)) return sign | 0x7eu;
    return sign | min(round_magnitude(x, 2u, -14), 0x7bu);
}

// The number of the lowest 8 bits.
float from_f8_e4m3(uint code) {
    const uint magnitude = code & 0x7fu;
    const uint sign = (code & 0x80u) << 24;
    // Subnormals, multiples of 2^-9, are exact integers times it.
    const float small = float(magnitude) * 0.001953125;
    const uint normal = (magnitude << 20) + (120u << 23);
    const uint bits = magnitude == 0x7fu ? 0x7fc00000u : magnitude < 8u ? floatBitsToUint(small) : normal;
    return uintBitsToFloat(bits | sign);
}

#endif
