// Stored formats for tests: those of the product, some made up, and random ones from seeds.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <tenon/reference/dequant.h>

#include "core/formats/format_list.h"

namespace tenon::kernels::testing {

struct TestFormat {
    std::string name;
    tenon_format format;
};

// With the fields and the codebook that `format` points to.
struct RandomFormat {
    std::vector<tenon_bit_field> codes, scales, mins;
    std::vector<float> codebook;
    tenon_format format;
};

inline tenon_format grouped(uint32_t bits, uint32_t packing, uint32_t group, uint32_t block_elems,
                            uint32_t scale_type) {
    tenon_format f{};
    f.size = sizeof f;
    f.cls = TENON_FORMAT_AFFINE_GROUP;
    f.id = {"test", 4};
    f.bits = bits;
    f.group = group;
    f.block_elems = block_elems;
    f.packing = packing;
    f.scale_type = scale_type;
    f.codes_offset = block_elems / group * reference::float_type_bytes(scale_type);
    f.block_bytes =
        f.codes_offset + (packing == TENON_PACK_BYTES ? block_elems : (block_elems * bits + 7) / 8);
    return f;
}

inline tenon_format with_zero(tenon_format f, int32_t zero_point) {
    f.zero_point = zero_point;
    return f;
}

// Mins behind the codes.
inline tenon_format with_mins(tenon_format f, uint32_t min_type, uint32_t flags) {
    f.min_type = min_type;
    f.min_offset = f.block_bytes;
    f.block_bytes += f.block_elems / f.group * reference::float_type_bytes(min_type);
    f.flags = flags;
    return f;
}

inline tenon_format with_codebook(tenon_format f, const float* entries, uint32_t n) {
    f.cls = TENON_FORMAT_LUT_GROUP;
    f.lut = entries;
    f.lut_n = n;
    return f;
}

inline constexpr float kUneven[8] = {-1.7f, -0.9f, -0.35f, -0.1f, 0.1f, 0.4f, 0.95f, 1.8f};
inline constexpr float kQuarters[8] = {-3.75f, -2, -0.75f, 0, 0.25f, 1, 2.5f, 4};

inline std::vector<TestFormat> make_formats() {
    std::vector<TestFormat> all;
    for (const formats::StoredFormat& stored : formats::stored_formats())
        all.push_back({std::string(stored.name), stored.format});
    const uint32_t lsb = TENON_PACK_LSB_FIRST;
    all.push_back({"uneven_codebook_3_bits_96",
                   with_codebook(grouped(3, lsb, 96, 96, TENON_F16), kUneven, 8)});
    all.push_back({"quarters_codebook_3_bits_96",
                   with_codebook(grouped(3, lsb, 96, 96, TENON_F16), kQuarters, 8)});
    all.push_back({"two_scales_4_bits_64",
                   with_zero(grouped(4, TENON_PACK_NIBBLE_HALVES, 32, 64, TENON_F16), 8)});
    all.push_back({"subtracted_mins_6_bits", with_mins(grouped(6, lsb, 32, 64, TENON_F16),
                                                       TENON_F16, TENON_FORMAT_MIN_SUBTRACTED)});
    all.push_back({"unsigned_8_bits_128", with_zero(grouped(8, lsb, 128, 128, TENON_BF16), 128)});
    all.push_back({"far_zero_8_bits", with_zero(grouped(8, lsb, 64, 64, TENON_F32), -3)});
    all.push_back({"unsigned_4_bits", grouped(4, lsb, 32, 32, TENON_F16)});
    all.push_back(
        {"bits_with_mins", with_mins(grouped(1, lsb, 64, 192, TENON_F32), TENON_BF16, 0)});
    all.push_back({"groups_of_16", with_zero(grouped(5, lsb, 16, 32, TENON_F16), 16)});
    all.push_back({"blocks_of_24", with_zero(grouped(7, lsb, 24, 24, TENON_F32), 64)});
    return all;
}

inline void put_float(uint32_t dtype, uint8_t* to, float value, std::mt19937& engine) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if (dtype == TENON_F32) {
        std::memcpy(to, &bits, 4);
    } else if (dtype == TENON_BF16) {
        std::memcpy(to, reinterpret_cast<const uint8_t*>(&bits) + 2, 2);
    } else if (dtype == TENON_E8M0) {
        *to = static_cast<uint8_t>(116 + engine() % 12);
    } else {
        // binary16 between 2^-8 and 2^-3, either sign.
        const auto half =
            static_cast<uint16_t>((engine() & 0x8000u) | (0x1c00u + engine() % 0x1400u));
        std::memcpy(to, &half, 2);
    }
}

// Every format of core/formats, then made-up ones that reach each layout.
inline const std::vector<TestFormat>& test_formats() {
    static const std::vector<TestFormat> all = make_formats();
    return all;
}

// A description that reference::format_problem accepts.
inline RandomFormat random_format(uint32_t seed) {
    std::mt19937 engine(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(engine() % n); };
    constexpr uint32_t kGroups[] = {16, 32, 48, 64, 96, 128, 20};
    constexpr uint32_t kTypes[] = {TENON_F16, TENON_BF16, TENON_F32, TENON_E8M0};
    for (;;) {
        RandomFormat made;
        tenon_format& f = made.format;
        f = tenon_format{};
        f.size = sizeof f;
        f.id = {"random", 6};
        f.cls = below(3) == 0 ? TENON_FORMAT_LUT_GROUP : TENON_FORMAT_AFFINE_GROUP;
        f.bits = 1 + below(8);
        f.group = kGroups[below(7)];
        const uint32_t groups = 1 + below(8);
        f.block_elems = f.group * groups;
        f.scale_type = kTypes[below(4)];
        f.zero_point =
            f.cls == TENON_FORMAT_LUT_GROUP ? 0 : static_cast<int32_t>(below(1u << f.bits));
        f.packing = below(2) == 0 ? TENON_PACK_LSB_FIRST : TENON_PACK_FIELDS;
        uint32_t end = 0;
        const auto take = [&](uint32_t bytes) {
            end += bytes;
            return end - bytes;
        };
        // Bits of each code from up to three places.
        const auto take_fields = [&](uint32_t count, uint32_t bits) {
            std::vector<tenon_bit_field> fields;
            for (uint32_t place = 0; place < bits;) {
                tenon_bit_field field{};
                field.count = count;
                field.radix = 2;
                field.bits = 1 + below(bits - place);
                field.shift = below(9 - field.bits);
                field.place = place;
                field.lanes = below(2) == 0 ? 1 + below(count) : 1;
                const uint32_t span = field.lanes * reference::digits_per_byte(field);
                field.offset = take((count + span - 1) / span * field.lanes);
                place += field.bits;
                fields.push_back(field);
            }
            return fields;
        };
        if (f.packing == TENON_PACK_LSB_FIRST) {
            f.codes_offset = take((f.block_elems * f.bits + 7) / 8);
        } else {
            made.codes = take_fields(f.block_elems, f.bits);
            f.code_fields = made.codes.data();
            f.n_code_fields = static_cast<uint32_t>(made.codes.size());
        }
        if (below(2) == 0) {
            made.scales = take_fields(groups, 2 + below(7));
            f.scale_fields = made.scales.data();
            f.n_scale_fields = static_cast<uint32_t>(made.scales.size());
            f.scale_zero = static_cast<int32_t>(below(40));
            if (below(2) == 0) f.flags |= TENON_FORMAT_SCALE_SIGNED;
        }
        const uint32_t scale_bytes = reference::float_type_bytes(f.scale_type);
        f.scale_offset = take(scale_bytes * (f.n_scale_fields != 0 ? 1 : groups));
        if (below(2) == 0) {
            f.min_type = kTypes[below(3)];
            if (below(2) == 0) f.flags |= TENON_FORMAT_MIN_SUBTRACTED;
            if (f.n_scale_fields != 0 || below(3) == 0) {
                made.mins = take_fields(groups, 2 + below(6));
                f.min_fields = made.mins.data();
                f.n_min_fields = static_cast<uint32_t>(made.mins.size());
            }
            f.min_offset =
                take(reference::float_type_bytes(f.min_type) * (f.n_min_fields != 0 ? 1 : groups));
        }
        if (f.cls == TENON_FORMAT_LUT_GROUP) {
            const bool whole = below(2) == 0;
            for (uint32_t i = 0; i < 1u << f.bits; ++i)
                made.codebook.push_back(whole ? std::ldexp(static_cast<float>(below(200)) - 100, -3)
                                              : static_cast<float>(below(1000)) * 0.013f - 6);
            f.lut = made.codebook.data();
            f.lut_n = static_cast<uint32_t>(made.codebook.size());
        }
        f.block_bytes = end;
        if (reference::format_problem(f) == nullptr) return made;
    }
}

// Stored bytes of rows x cols random weights: every code possible, scales and mins finite.
inline std::vector<uint8_t> random_stored(const tenon_format& f, uint32_t rows, uint32_t cols,
                                          uint32_t seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, 0.1f);
    const uint32_t blocks = rows * (cols / f.block_elems);
    std::vector<uint8_t> stored(size_t{blocks} * f.block_bytes);
    for (uint8_t& byte : stored)
        byte = static_cast<uint8_t>(engine());
    const uint32_t groups = f.block_elems / f.group;
    const auto put_all = [&](uint8_t* block, uint32_t dtype, uint32_t offset, uint32_t count) {
        const uint32_t bytes = reference::float_type_bytes(dtype);
        for (uint32_t g = 0; g < count; ++g)
            put_float(dtype, block + offset + g * bytes, normal(engine), engine);
    };
    for (uint32_t b = 0; b < blocks; ++b) {
        uint8_t* block = stored.data() + size_t{b} * f.block_bytes;
        if (f.cls == TENON_FORMAT_FLOAT) {
            put_all(block, f.scale_type, 0, f.block_elems);
            continue;
        }
        put_all(block, f.scale_type, f.scale_offset, f.n_scale_fields != 0 ? 1 : groups);
        if (f.min_type != 0)
            put_all(block, f.min_type, f.min_offset, f.n_min_fields != 0 ? 1 : groups);
    }
    return stored;
}

// The rows as reference::dequant_row has them.
inline std::vector<float> decoded(const tenon_format& format, const std::vector<uint8_t>& stored,
                                  uint32_t rows, uint32_t cols) {
    std::vector<float> values(size_t{rows} * cols);
    const size_t stride = size_t{cols / format.block_elems} * format.block_bytes;
    for (uint32_t row = 0; row < rows; ++row)
        reference::dequant_row(format, stored.data() + row * stride, cols,
                               values.data() + size_t{row} * cols);
    return values;
}

}  // namespace tenon::kernels::testing
