// Random operands for kernel tests, reproducible from a seed.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/include/tenon/kernels/pack.h"
#include "kernels/include/tenon/kernels/quantise.h"

namespace tenon::kernels::testing {

inline std::vector<float> random_floats(size_t count, uint32_t seed, float spread = 1.0f) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> values(count);
    for (float& value : values) value = normal(engine);
    return values;
}

// Stored bytes of rows x cols random weights: finite scales, every code possible.
inline std::vector<uint8_t> random_weights(PackedFormat format, uint32_t rows, uint32_t cols,
                                           uint32_t seed) {
    std::mt19937 engine(seed);
    std::vector<uint8_t> bytes(stored_row_bytes(format, cols) * rows);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(engine());
    if (format == PackedFormat::kF32) {
        const std::vector<float> values = random_floats(size_t{rows} * cols, seed, 0.1f);
        std::memcpy(bytes.data(), values.data(), bytes.size());
        return bytes;
    }
    // binary16 and bfloat16 patterns between 2^-8 and 2^-3, either sign.
    const auto small_half = [&]() -> uint16_t {
        return static_cast<uint16_t>((engine() & 0x8000u) | (0x1c00u + engine() % 0x1400u));
    };
    const auto small_bfloat = [&]() -> uint16_t {
        return static_cast<uint16_t>((engine() & 0x8000u) | (0x3b80u + engine() % 0x0280u));
    };
    const bool plain = !is_quantised(format);
    const size_t step = plain ? 2 : stored_row_bytes(format, 32);
    for (size_t at = 0; at < bytes.size(); at += step) {
        const uint16_t first = format == PackedFormat::kBf16 ? small_bfloat() : small_half();
        std::memcpy(&bytes[at], &first, 2);
        if (format == PackedFormat::kQ4_1) {
            const uint16_t second = small_half();
            std::memcpy(&bytes[at + 2], &second, 2);
        }
    }
    return bytes;
}

inline double half_value(const uint8_t* p) {
    uint16_t bits;
    std::memcpy(&bits, p, 2);
    const int exponent = (bits >> 10) & 31;
    const double mantissa = bits & 1023;
    const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24)
                                           : std::ldexp(1024 + mantissa, exponent - 25);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

// One stored weight, by the definition of its format.
inline double stored_value(PackedFormat format, const uint8_t* row, uint32_t col) {
    if (format == PackedFormat::kF32) {
        float value;
        std::memcpy(&value, row + size_t{col} * 4, 4);
        return value;
    }
    if (format == PackedFormat::kF16) return half_value(row + size_t{col} * 2);
    if (format == PackedFormat::kBf16) {
        uint32_t bits = 0;
        std::memcpy(reinterpret_cast<uint8_t*>(&bits) + 2, row + size_t{col} * 2, 2);
        float value;
        std::memcpy(&value, &bits, 4);
        return value;
    }
    const uint8_t* block = row + col / 32 * stored_row_bytes(format, 32);
    const uint32_t i = col % 32;
    const double scale = half_value(block);
    if (format == PackedFormat::kQ8_0) return scale * static_cast<int8_t>(block[2 + i]);
    const uint8_t* codes = block + (format == PackedFormat::kQ4_1 ? 4 : 2);
    const int code = i < 16 ? codes[i] & 15 : codes[i - 16] >> 4;
    if (format == PackedFormat::kQ4_0) return scale * (code - 8);
    return scale * code + half_value(block + 2);
}

struct PackedCase {
    std::vector<uint8_t> stored, packed;
};

inline PackedCase packed_case(PackedFormat format, uint32_t rows, uint32_t cols, uint32_t seed) {
    PackedCase c;
    c.stored = random_weights(format, rows, cols, seed);
    c.packed.resize(group_bytes(format, cols) * group_count(rows));
    pack_groups(format, c.stored.data(), rows, cols, 0, group_count(rows), c.packed.data());
    return c;
}

} // namespace tenon::kernels::testing
