#include "core/quantize/float_store.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include <tenon/reference/dequant.h>

namespace tenon::quantize {

namespace {

uint32_t bits_of(float value) noexcept {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

constexpr int kE8M0Bias = 127;
constexpr int kE8M0Last = 254;  // 255 is NaN

}  // namespace

uint16_t f16_from_float(float value) noexcept {
    const uint32_t bits = bits_of(value);
    const auto sign = static_cast<uint16_t>(bits >> 16 & 0x8000u);
    const uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude > 0x7f800000u) return sign | 0x7e00u;
    if (magnitude >= 0x47800000u) return sign | 0x7c00u;  // 2^16 and up
    const int exponent = static_cast<int>(magnitude >> 23) - 127;
    if (exponent < -25) return sign;
    // Shifts the significand so that its last bit has the weight of binary16's last bit.
    const uint32_t significand = (magnitude & 0x7fffffu) | 0x800000u;
    const int shift = exponent >= -14 ? 13 : -exponent - 1;
    const uint32_t kept = significand >> shift;
    const uint32_t rest = significand & ((1u << shift) - 1);
    const uint32_t half = 1u << (shift - 1);
    const uint32_t up = rest > half || (rest == half && (kept & 1u) != 0) ? 1 : 0;
    // A carry out of the significand moves on into the exponent, which is right.
    const uint32_t base = exponent >= -14 ? static_cast<uint32_t>(exponent + 14) << 10 : 0;
    return static_cast<uint16_t>(sign | (base + kept + up));
}

uint16_t bf16_from_float(float value) noexcept {
    const uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(bits >> 16 | 0x40u);
    return static_cast<uint16_t>((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

void store_float(uint32_t dtype, std::byte* array, uint64_t index, float value) noexcept {
    if (dtype == TENON_F32) {
        std::memcpy(array + index * sizeof value, &value, sizeof value);
        return;
    }
    const uint16_t bits = dtype == TENON_F16 ? f16_from_float(value) : bf16_from_float(value);
    std::memcpy(array + index * sizeof bits, &bits, sizeof bits);
}

float largest_of(uint32_t dtype) noexcept {
    return dtype == TENON_F16    ? 65504.0f
           : dtype == TENON_BF16 ? reference::float_from_bf16(0x7f7f)
           : dtype == TENON_E8M0 ? std::ldexp(1.0f, kE8M0Last - kE8M0Bias)
                                 : std::numeric_limits<float>::max();
}

float nearest_scale(uint32_t dtype, float value) noexcept {
    const float largest = largest_of(dtype);
    const float cut = std::clamp(value, -largest, largest);
    if (dtype == TENON_F32) return cut;
    if (dtype == TENON_F16) return reference::float_from_f16(f16_from_float(cut));
    if (dtype == TENON_BF16) return reference::float_from_bf16(bf16_from_float(cut));
    int exponent = 0;
    const float half_to_one = std::frexp(std::fabs(cut), &exponent);
    if (half_to_one == 0.5f) --exponent;
    return half_to_one == 0.0f
               ? std::ldexp(1.0f, -kE8M0Bias)
               : std::ldexp(1.0f, std::clamp(exponent, -kE8M0Bias, kE8M0Last - kE8M0Bias));
}

void store_scale(uint32_t dtype, std::byte* array, uint64_t index, float value) noexcept {
    if (dtype == TENON_E8M0)
        array[index] = static_cast<std::byte>(std::ilogb(value) + kE8M0Bias);
    else
        store_float(dtype, array, index, value);
}

}  // namespace tenon::quantize
