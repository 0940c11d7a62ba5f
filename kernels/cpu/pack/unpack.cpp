#include <cstring>

#include "kernels/cpu/pack/geometry.h"
#include "kernels/cpu/pack/half.h"

namespace tenon::kernels {
namespace {

void unpack_floats(PackedFormat format, const uint8_t* group, uint32_t cols, uint32_t lane,
                   float* out) {
    const size_t size = geometry(format).element_bytes;
    for (uint32_t col = 0; col < cols; ++col) {
        const uint8_t* element = group + (size_t{col} * kGroupRows + lane) * size;
        if (format == PackedFormat::kF32) {
            std::memcpy(&out[col], element, sizeof(float));
            continue;
        }
        uint16_t bits;
        std::memcpy(&bits, element, sizeof bits);
        out[col] = format == PackedFormat::kF16 ? float_of_half(bits) : float_of_bfloat(bits);
    }
}

float load_half_at(const uint8_t* row, uint32_t lane) {
    uint16_t bits;
    std::memcpy(&bits, row + lane * 2, sizeof bits);
    return float_of_half(bits);
}

float load_float_at(const uint8_t* row, uint32_t lane) {
    float value;
    std::memcpy(&value, row + lane * 4, sizeof value);
    return value;
}

struct Scale {
    float scale, min;
};

// Of columns [16 * half, 16 * half + 16) of a block.
Scale scale_at(const PackedLayout& layout, const uint8_t* group, uint32_t block, uint32_t half,
               uint32_t lane) {
    const Geometry& g = geometry(layout.format);
    if (layout.super_cols == 0) {
        const uint8_t* row = group + size_t{block} * block_bytes(g) + g.code_bytes;
        return {load_half_at(row, lane), g.half_min ? load_half_at(row + kHalfRow, lane) : 0.0f};
    }
    const uint32_t per_super = layout.super_cols / kBlockCols;
    const uint8_t* head = group + size_t{block / per_super} * layout.super_bytes;
    Scale s{load_float_at(head, lane), 0.0f};
    if (layout.has_min) s.min = load_float_at(head + kFloatRow, lane);
    if (layout.factor_cols == 0) return s;
    const uint32_t rows = layout.super_cols / layout.factor_cols;
    const uint32_t row = (block % per_super * kBlockCols + half * 16) / layout.factor_cols;
    const auto* factors =
        reinterpret_cast<const int8_t*>(head) + (layout.has_min ? 2 : 1) * kFloatRow + lane;
    s.scale *= static_cast<float>(factors[row * kGroupRows]);
    if (layout.has_min) s.min *= static_cast<float>(factors[(rows + row) * kGroupRows]);
    return s;
}

}  // namespace

void unpack_row(const PackedLayout& layout, const void* packed, uint32_t cols, uint32_t row,
                float* out) noexcept {
    const uint8_t* group =
        static_cast<const uint8_t*>(packed) + size_t{row / kGroupRows} * group_bytes(layout, cols);
    const uint32_t lane = row % kGroupRows;
    if (!is_quantised(layout.format)) return unpack_floats(layout.format, group, cols, lane, out);
    const Geometry& g = geometry(layout.format);
    const bool nibbles = g.code_bytes == 256;
    for (uint32_t block = 0; block < cols / kBlockCols; ++block) {
        const uint8_t* codes = codes_at(layout, group, block);
        for (uint32_t half = 0; half < 2; ++half) {
            const Scale s = scale_at(layout, group, block, half, lane);
            for (uint32_t i = 0; i < 16; ++i) {
                const uint32_t place = nibbles ? i : half * 16 + i;
                const uint8_t byte = codes[place / 4 * 64 + lane * 4 + place % 4];
                const int32_t code = !nibbles ? byte : half == 0 ? byte & 15 : byte >> 4;
                out[block * kBlockCols + half * 16 + i] =
                    s.scale * static_cast<float>(code - g.bias) + s.min;
            }
        }
    }
}

}  // namespace tenon::kernels
