#include "tests/conformance/random_data.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <tenon/reference/dequant.h>

namespace tenon::conformance {
namespace {

// Binary16 towards zero; below 65504 only, which is all that is made here.
uint16_t to_f16(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const int exponent = static_cast<int>((bits >> 23) & 0xff) - 127 + 15;
    const uint32_t sign = (bits >> 16) & 0x8000u;
    if (exponent <= 0)
        return static_cast<uint16_t>(sign | static_cast<uint32_t>(std::ldexp(std::fabs(x), 24)));
    return static_cast<uint16_t>(sign | (static_cast<uint32_t>(exponent) << 10) |
                                 ((bits >> 13) & 0x3ffu));
}

void store(uint32_t dtype, std::byte* at, float x) {
    if (dtype == TENON_F32) {
        std::memcpy(at, &x, 4);
        return;
    }
    if (dtype == TENON_E8M0) {
        *at = static_cast<std::byte>(std::ilogb(x) + 127);
        return;
    }
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const uint16_t half = dtype == TENON_F16 ? to_f16(x) : static_cast<uint16_t>(bits >> 16);
    std::memcpy(at, &half, 2);
}

// Scales (and mins) for the random codes of `block`: elements of about `spread`, mins that centre
// them.
void put_scales(Random& random, const tenon_format& f, std::byte* block, float spread) {
    const auto* bytes = reinterpret_cast<const unsigned char*>(block);
    const float range = static_cast<float>(1u << f.bits);
    // Signed bytes are centred already.
    const float middle = f.min_type == 0 ? 0 : range / 2 - static_cast<float>(f.zero_point);
    const uint32_t groups = f.block_elems / f.group;
    double squares = 0, factors = 0, min_codes = 0;
    for (uint32_t i = 0; i < f.block_elems; ++i) {
        const int32_t code = reference::load_code(f, bytes, i);
        const float unit =
            f.cls == TENON_FORMAT_LUT_GROUP ? f.lut[code] : static_cast<float>(code - f.zero_point);
        const double value = reference::load_scale_code(f, bytes, i / f.group) * (unit - middle);
        squares += value * value;
    }
    for (uint32_t g = 0; g < groups; ++g) {
        factors += reference::load_scale_code(f, bytes, g);
        min_codes += f.n_min_fields == 0
                         ? 1
                         : reference::load_digits(f.min_fields, f.n_min_fields, bytes, g);
    }
    const double deviation = std::max(1e-3, std::sqrt(squares / f.block_elems));
    const auto scale = static_cast<float>(spread / deviation * (0.5 + random.uniform()));
    const bool negative = f.min_type == 0 && f.scale_type != TENON_E8M0 && (random.bits() & 1) != 0;
    const uint32_t scale_bytes = reference::float_type_bytes(f.scale_type);
    const uint32_t min_bytes = reference::float_type_bytes(f.min_type);
    const float sign = (f.flags & TENON_FORMAT_MIN_SUBTRACTED) != 0 ? 1.0f : -1.0f;
    for (uint32_t g = 0; g < (f.n_scale_fields != 0 ? 1 : groups); ++g)
        store(f.scale_type, block + f.scale_offset + g * scale_bytes, negative ? -scale : scale);
    for (uint32_t g = 0; f.min_type != 0 && g < (f.n_min_fields != 0 ? 1 : groups); ++g) {
        const double share = 0.8 + 0.4 * random.uniform();
        store(
            f.min_type, block + f.min_offset + g * min_bytes,
            static_cast<float>(sign * scale * middle * share * factors / std::max(1.0, min_codes)));
    }
}

}  // namespace

int64_t whole_blocks(const tenon_format& format, int64_t cols) {
    return (cols + format.block_elems - 1) / format.block_elems * format.block_elems;
}

std::vector<std::byte> random_weight(Random& random, const tenon_format& format, int64_t rows,
                                     int64_t cols) {
    const int64_t blocks = rows * cols / format.block_elems;
    std::vector<std::byte> bytes(static_cast<size_t>(blocks * format.block_bytes));
    const float spread = 1.0f / std::sqrt(static_cast<float>(cols));
    const uint32_t element_bytes = reference::float_type_bytes(format.scale_type);
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
        put_scales(random, format, block, spread);
    }
    return bytes;
}

}  // namespace tenon::conformance
