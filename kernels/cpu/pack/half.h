// binary16 and bfloat16 bit patterns to and from float. Not for instance files: those have their
// own copies inside their namespace (simd/).
#pragma once

#include <cstdint>
#include <cstring>

namespace tenon::kernels {

inline float float_of_bits(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

inline float float_of_bfloat(uint16_t bits) {
    return float_of_bits(static_cast<uint32_t>(bits) << 16);
}

inline float float_of_half(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t rest = half & 0x7fffu;
    if (rest >= 0x7c00u) return float_of_bits(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
    // 2^112 lifts the half's exponent bias to the float's, subnormals included.
    const float magnitude = float_of_bits(rest << 13) * float_of_bits(0x77800000u);
    uint32_t bits;
    std::memcpy(&bits, &magnitude, sizeof bits);
    return float_of_bits(sign | bits);
}

}  // namespace tenon::kernels
