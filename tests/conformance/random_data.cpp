#include "tests/conformance/random_data.h"

#include <cmath>
#include <cstring>

namespace tenon::conformance {
namespace {

// Nearest binary16 by truncation of the mantissa; normal numbers only, which is all that is made
// here.
uint16_t to_f16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const int exponent = static_cast<int>((bits >> 23) & 0xff) - 127 + 15;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    if (exponent <= 0) return static_cast<uint16_t>(sign);
    return static_cast<uint16_t>(sign | (static_cast<uint32_t>(exponent) << 10) |
                                 ((bits >> 13) & 0x3ffu));
}

void store(uint32_t dtype, std::byte* at, float x) {
    if (dtype == TENON_F32) {
        std::memcpy(at, &x, 4);
        return;
    }
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const uint16_t half = dtype == TENON_F16 ? to_f16(x) : static_cast<uint16_t>(bits >> 16);
    std::memcpy(at, &half, 2);
}

}  // namespace

std::vector<std::byte> random_weight(Random& random, const tenon_format& format, int64_t rows,
                                     int64_t cols) {
    const int64_t blocks = rows * cols / format.block_elems;
    std::vector<std::byte> bytes(static_cast<size_t>(blocks * format.block_bytes));
    const float spread = 1.0f / std::sqrt(static_cast<float>(cols));
    const uint32_t element_bytes = format.scale_type == TENON_F32 ? 4 : 2;
    for (int64_t b = 0; b < blocks; ++b) {
        std::byte* block = bytes.data() + b * format.block_bytes;
        if (format.cls == TENON_FORMAT_FLOAT) {
            for (uint32_t i = 0; i < format.block_elems; ++i) {
                store(format.scale_type, block + i * element_bytes, spread * random.normal());
            }
            continue;
        }
        for (uint32_t i = 0; i < format.block_bytes; ++i) {
            block[i] = static_cast<std::byte>(random.bits() & 0xff);
        }
        // Codes are uniform: their standard deviation is their range over sqrt(12).
        const float range = static_cast<float>(1u << format.bits);
        const float scale =
            spread * std::sqrt(12.0f) / range * (0.5f + static_cast<float>(random.uniform()));
        const bool negative = format.min_type == 0 && (random.bits() & 1) != 0;
        for (uint32_t g = 0; g < format.block_elems / format.group; ++g) {
            store(format.scale_type, block + format.scale_offset + g * element_bytes,
                  negative ? -scale : scale);
            if (format.min_type == 0) continue;
            const uint32_t min_bytes = format.min_type == TENON_F32 ? 4 : 2;
            store(format.min_type, block + format.min_offset + g * min_bytes,
                  -scale * range * (0.4f + 0.2f * static_cast<float>(random.uniform())));
        }
    }
    return bytes;
}

}  // namespace tenon::conformance
