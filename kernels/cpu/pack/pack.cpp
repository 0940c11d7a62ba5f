#include "kernels/include/tenon/kernels/pack.h"

#include "kernels/cpu/pack/half.h"

#include <algorithm>
#include <cstring>

#include <tenon/blocks.h>

namespace tenon::kernels {
namespace {

constexpr size_t kScaleBytes = kGroupRows * sizeof(uint16_t);

struct Geometry {
    const char* name;
    uint32_t stored_block_bytes; // of 32 elements
    uint32_t code_bytes;         // of a packed block; 0: plain elements
    bool has_min;
    uint32_t codes_offset; // in a stored block
    uint32_t flip;         // xor of four packed code bytes
};

constexpr Geometry kGeometry[kPackedFormatCount] = {
    {"f32", 128, 0, false, 0, 0},
    {"f16", 64, 0, false, 0, 0},
    {"bf16", 64, 0, false, 0, 0},
    {"q4_0", sizeof(BlockQ4_0), 256, false, offsetof(BlockQ4_0, qs), 0},
    {"q4_1", sizeof(BlockQ4_1), 256, true, offsetof(BlockQ4_1, qs), 0},
    {"q8_0", sizeof(BlockQ8_0), 512, false, offsetof(BlockQ8_0, qs), 0x80808080u},
};

const Geometry& geometry(PackedFormat format) { return kGeometry[static_cast<size_t>(format)]; }

size_t element_bytes(PackedFormat format) { return format == PackedFormat::kF32 ? 4 : 2; }

size_t block_bytes(const Geometry& g) {
    return g.code_bytes + kScaleBytes + (g.has_min ? kScaleBytes : 0);
}

// One block of 32 columns of `count` rows; missing rows become zeros.
void pack_block(const Geometry& g, const uint8_t* stored, size_t row_stride, uint32_t count,
                uint8_t* packed) {
    for (uint32_t row = 0; row < kGroupRows; ++row) {
        const uint8_t* source = stored + row * row_stride;
        for (uint32_t at = 0; at < g.code_bytes; at += 64) {
            uint32_t codes = 0;
            if (row < count) std::memcpy(&codes, source + g.codes_offset + at / 16, 4);
            codes ^= g.flip;
            std::memcpy(packed + at + row * 4, &codes, 4);
        }
        uint16_t scale[2] = {0, 0};
        if (row < count) std::memcpy(scale, source, g.has_min ? 4 : 2);
        std::memcpy(packed + g.code_bytes + row * 2, &scale[0], 2);
        if (g.has_min) std::memcpy(packed + g.code_bytes + kScaleBytes + row * 2, &scale[1], 2);
    }
}

template <class Element>
void pack_elements(const uint8_t* stored, size_t row_stride, uint32_t count, uint32_t cols,
                   uint8_t* packed) {
    for (uint32_t row = 0; row < kGroupRows; ++row) {
        for (uint32_t col = 0; col < cols; ++col) {
            Element value = 0;
            if (row < count)
                std::memcpy(&value, stored + row * row_stride + col * sizeof value, sizeof value);
            std::memcpy(packed + (size_t{col} * kGroupRows + row) * sizeof value, &value,
                        sizeof value);
        }
    }
}

} // namespace

const char* format_name(PackedFormat format) noexcept { return geometry(format).name; }

bool is_quantised(PackedFormat format) noexcept { return geometry(format).code_bytes != 0; }

size_t stored_row_bytes(PackedFormat format, uint32_t cols) noexcept {
    if (!is_quantised(format)) return element_bytes(format) * cols;
    return size_t{cols / kBlockCols} * geometry(format).stored_block_bytes;
}

size_t group_bytes(PackedFormat format, uint32_t cols) noexcept {
    if (!is_quantised(format)) return element_bytes(format) * cols * kGroupRows;
    return size_t{cols / kBlockCols} * block_bytes(geometry(format));
}

uint32_t group_count(uint32_t rows) noexcept { return rows / kGroupRows + (rows % kGroupRows != 0); }

void pack_groups(PackedFormat format, const void* stored, uint32_t rows, uint32_t cols,
                 uint32_t group_begin, uint32_t group_end, void* packed) noexcept {
    const size_t row_stride = stored_row_bytes(format, cols);
    const size_t stride = group_bytes(format, cols);
    const Geometry& g = geometry(format);
    for (uint32_t group = group_begin; group < group_end; ++group) {
        const uint8_t* source =
            static_cast<const uint8_t*>(stored) + size_t{group} * kGroupRows * row_stride;
        uint8_t* target = static_cast<uint8_t*>(packed) + size_t{group} * stride;
        const uint32_t count = std::min(kGroupRows, rows - group * kGroupRows);
        if (format == PackedFormat::kF32) {
            pack_elements<uint32_t>(source, row_stride, count, cols, target);
        } else if (!is_quantised(format)) {
            pack_elements<uint16_t>(source, row_stride, count, cols, target);
        } else {
            for (uint32_t block = 0; block < cols / kBlockCols; ++block)
                pack_block(g, source + size_t{block} * g.stored_block_bytes, row_stride, count,
                           target + block * block_bytes(g));
        }
    }
}

void unpack_row(PackedFormat format, const void* packed, uint32_t cols, uint32_t row,
                float* out) noexcept {
    const uint8_t* group = static_cast<const uint8_t*>(packed) +
                           size_t{row / kGroupRows} * group_bytes(format, cols);
    const uint32_t lane = row % kGroupRows;
    if (!is_quantised(format)) {
        const size_t size = element_bytes(format);
        for (uint32_t col = 0; col < cols; ++col) {
            const uint8_t* element = group + (size_t{col} * kGroupRows + lane) * size;
            uint16_t bits = 0;
            if (format == PackedFormat::kF32) {
                std::memcpy(&out[col], element, sizeof(float));
                continue;
            }
            std::memcpy(&bits, element, sizeof bits);
            out[col] = format == PackedFormat::kF16 ? float_of_half(bits) : float_of_bfloat(bits);
        }
        return;
    }
    const Geometry& g = geometry(format);
    const int32_t zero_point = format == PackedFormat::kQ4_0 ? 8 : g.flip != 0 ? 128 : 0;
    for (uint32_t block = 0; block < cols / kBlockCols; ++block) {
        const uint8_t* codes = group + block * block_bytes(g);
        uint16_t bits[2] = {0, 0};
        std::memcpy(&bits[0], codes + g.code_bytes + lane * 2, 2);
        if (g.has_min) std::memcpy(&bits[1], codes + g.code_bytes + kScaleBytes + lane * 2, 2);
        const float scale = float_of_half(bits[0]);
        const float min = float_of_half(bits[1]);
        for (uint32_t col = 0; col < kBlockCols; ++col) {
            const bool nibble = g.code_bytes == 256;
            const uint32_t place = nibble ? col % 16 : col;
            const uint8_t byte = codes[place / 4 * 64 + lane * 4 + place % 4];
            const int32_t code = !nibble ? byte : col < 16 ? byte & 15 : byte >> 4;
            out[block * kBlockCols + col] = static_cast<float>(code - zero_point) * scale + min;
        }
    }
}

} // namespace tenon::kernels
