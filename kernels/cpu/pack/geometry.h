// Sizes of the packed formats, for packing and unpacking.
#pragma once

#include "kernels/include/tenon/kernels/pack.h"

namespace tenon::kernels {

constexpr uint32_t kHalfRow = kGroupRows * 2;   // bytes of 16 binary16 scales
constexpr uint32_t kFloatRow = kGroupRows * 4;  // bytes of 16 binary32 scales

struct Geometry {
    const char* name;
    uint32_t element_bytes;  // of float formats
    uint32_t code_bytes;     // of a block of 32 columns
    int32_t bias;            // stored code = level + bias
    bool half_min;           // a binary16 min follows the binary16 scales
};

inline constexpr Geometry kGeometry[kPackedFormatCount] = {
    {"f32", 4, 0, 0, false},        {"f16", 2, 0, 0, false},
    {"bf16", 2, 0, 0, false},       {"q4_0", 0, 256, 8, false},
    {"q4_1", 0, 256, 0, true},      {"q8_0", 0, 512, 128, false},
    {"q8_1", 0, 512, 128, true},    {"super_s4", 0, 256, 8, false},
    {"super_u4", 0, 256, 0, false}, {"super_s8", 0, 512, 128, false},
};

constexpr const Geometry& geometry(PackedFormat format) {
    return kGeometry[static_cast<size_t>(format)];
}

// Bytes of a block of 32 columns of a format without super-blocks.
constexpr uint32_t block_bytes(const Geometry& g) {
    return g.code_bytes + kHalfRow + (g.half_min ? kHalfRow : 0);
}

// Where the codes of block `block` of a row group are.
inline const uint8_t* codes_at(const PackedLayout& layout, const uint8_t* group, uint32_t block) {
    const Geometry& g = geometry(layout.format);
    if (layout.super_cols == 0) return group + size_t{block} * block_bytes(g);
    const uint32_t per_super = layout.super_cols / kBlockCols;
    return group + size_t{block / per_super} * layout.super_bytes + layout.head_bytes +
           size_t{block % per_super} * g.code_bytes;
}

}  // namespace tenon::kernels
