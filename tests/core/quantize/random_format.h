// Formats that nobody published, shaped by a seed: every class, packing, digit layout and way of
// storing scales and mins that a description can say and a writer can fill.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <tenon/abi.h>
#include <tenon/reference/dequant.h>

namespace tenon::quantize {

// Owns what its description points to; its address must not change.
struct MadeUpFormat {
    tenon_format format{};
    std::string id = "made-up/0";
    std::vector<float> codebook;
    std::vector<tenon_bit_field> codes, scales, mins;
};

inline std::unique_ptr<MadeUpFormat> random_format(uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](uint64_t n) { return static_cast<uint32_t>(random() % n); };
    auto made = std::make_unique<MadeUpFormat>();
    tenon_format& f = made->format;
    f.size = sizeof f;
    f.id = {made->id.data(), made->id.size()};
    uint32_t bytes = 0;
    // `bits` bits of each of `count` codes out of bytes of their own; count is a multiple of 8.
    const auto digits = [&](std::vector<tenon_bit_field>& out, uint32_t count, uint32_t bits,
                            uint32_t place) {
        const uint32_t per_byte = 8 / bits;
        uint32_t lanes = 1u << below(4);
        while (count % (lanes * per_byte) != 0 && lanes > 1)
            lanes /= 2;
        out.push_back({0, count, bytes, lanes, 2, bits, 0, place});
        const uint32_t span = lanes * per_byte;
        bytes += (count + span - 1) / span * lanes;
    };
    f.group = 8 * (1 + below(6));
    const uint32_t groups = 1u << below(4);
    f.block_elems = f.group * groups;
    f.packing = 1 + below(4);
    f.bits = f.packing == TENON_PACK_BYTES           ? 8
             : f.packing == TENON_PACK_NIBBLE_HALVES ? 4
                                                     : 1 + below(8);
    f.cls = f.packing != TENON_PACK_BYTES && below(3) == 0 ? TENON_FORMAT_LUT_GROUP
                                                           : TENON_FORMAT_AFFINE_GROUP;
    constexpr uint32_t kTypes[] = {TENON_F32, TENON_F16, TENON_BF16, TENON_E8M0};
    f.scale_type = kTypes[below(4)];
    const bool coded = groups >= 8 && below(2) == 0;
    bytes = below(3);  // bytes that nothing names
    f.scale_offset = bytes;
    bytes += reference::float_type_bytes(f.scale_type) * (coded ? 1 : groups);
    if (below(2) == 0) {
        f.min_type = kTypes[below(3)];
        f.min_offset = bytes;
        bytes += reference::float_type_bytes(f.min_type) * (coded ? 1 : groups);
        if (below(2) == 0) f.flags |= TENON_FORMAT_MIN_SUBTRACTED;
    }
    if (coded) {
        digits(made->scales, groups, 4, 0);
        if (below(2) == 0) digits(made->scales, groups, 2, 4);
        const uint32_t last = made->scales.size() == 2 ? 63 : 15;
        f.scale_zero = below(2) == 0 ? 0 : static_cast<int32_t>(last / 2);
        if (f.min_type != 0) digits(made->mins, groups, 4, 0);
    }
    if (f.packing == TENON_PACK_BYTES) {
        f.codes_offset = bytes;
        bytes += f.block_elems;
    } else if (f.packing == TENON_PACK_FIELDS) {
        if (f.bits == 2 && below(2) == 0) {
            // Five trits a byte, the last bytes of a span perhaps not full.
            const uint32_t lanes = 1 + below(f.block_elems / 4);
            made->codes.push_back({0, f.block_elems, bytes, lanes, 3, 2, 0, 0});
            bytes += (f.block_elems + 5 * lanes - 1) / (5 * lanes) * lanes;
        } else {
            for (uint32_t place = 0; place < f.bits;) {
                const uint32_t width = std::min(f.bits - place, 1u << below(4));
                digits(made->codes, f.block_elems, width == 3 ? 2 : width, place);
                place += width == 3 ? 2 : width;
            }
        }
    } else {
        f.codes_offset = bytes;
        bytes += (f.block_elems * f.bits + 7) / 8;
    }
    f.block_bytes = bytes;
    if (f.cls == TENON_FORMAT_LUT_GROUP) {
        std::normal_distribution<float> level(0, 3);
        for (uint32_t i = 0; i < 1u << f.bits; ++i)
            made->codebook.push_back(level(random));
        f.lut = made->codebook.data();
        f.lut_n = static_cast<uint32_t>(made->codebook.size());
    } else if (f.packing != TENON_PACK_BYTES && (f.min_type == 0 || below(2) == 0)) {
        f.zero_point = 1 << (f.bits - 1);
    }
    f.code_fields = made->codes.data();
    f.scale_fields = made->scales.data();
    f.min_fields = made->mins.data();
    f.n_code_fields = static_cast<uint32_t>(made->codes.size());
    f.n_scale_fields = static_cast<uint32_t>(made->scales.size());
    f.n_min_fields = static_cast<uint32_t>(made->mins.size());
    return made;
}

}  // namespace tenon::quantize
