#include <algorithm>
#include <cstddef>

#include <tenon/reference/dequant.h>

#include "kernels/cpu/pack/geometry.h"
#include "kernels/cpu/pack/levels.h"
#include "kernels/include/tenon/kernels/pack.h"

namespace tenon::kernels {
namespace {

constexpr uint32_t kHalfBlock = kBlockCols / 2;
constexpr int32_t kFactorMax = 127, kFactorMin = -128;  // int8

// No code of the fields is larger.
int32_t largest_code(const tenon_bit_field* fields, uint32_t n) {
    uint32_t code = 0;
    for (const tenon_bit_field* f = fields; f != fields + n; ++f)
        code |= ((1u << f->bits) - 1) << f->place;
    return static_cast<int32_t>(std::min(code, 255u));
}

// Whether groups have integers of 8 bits as factors of one scale (and one min) of a block.
bool has_factors(const tenon_format& f) {
    if (f.n_scale_fields == 0 || f.group % kHalfBlock != 0) return false;
    int32_t low = 0;
    int32_t high = largest_code(f.scale_fields, f.n_scale_fields);
    if ((f.flags & TENON_FORMAT_SCALE_SIGNED) != 0 && high > kFactorMax) {
        low = kFactorMin;
        high = kFactorMax;
    }
    if (low - f.scale_zero < kFactorMin || high - f.scale_zero > kFactorMax) return false;
    return f.min_type == 0 ||
           (f.n_min_fields != 0 && largest_code(f.min_fields, f.n_min_fields) <= kFactorMax);
}

// One binary16 scale, and min, per block of 32 columns.
bool has_half_scales(const tenon_format& f, const Levels& levels) {
    return f.n_scale_fields == 0 && f.n_min_fields == 0 && f.group == kBlockCols &&
           f.scale_type == TENON_F16 && (f.min_type == 0 || f.min_type == TENON_F16) &&
           levels.power == 0;
}

PackedLayout float_layout(uint32_t dtype) {
    if (dtype == TENON_F16) return plain_layout(PackedFormat::kF16);
    if (dtype == TENON_BF16) return plain_layout(PackedFormat::kBf16);
    return plain_layout(PackedFormat::kF32);
}

}  // namespace

PackedLayout choose_layout(const tenon_format& f) noexcept {
    if (f.cls == TENON_FORMAT_FLOAT) return float_layout(f.scale_type);
    Levels levels;
    if (f.block_elems % kBlockCols != 0 || !find_levels(f, &levels)) return float_layout(TENON_F32);
    const bool has_min = f.min_type != 0;
    const bool signed4 = levels.min >= -8 && levels.max <= 7;
    const bool unsigned4 = levels.min >= 0 && levels.max <= 15;
    if (levels.min < -128 || levels.max > 127) return float_layout(TENON_F32);
    if (has_half_scales(f, levels)) {
        if (signed4 && !has_min) return plain_layout(PackedFormat::kQ4_0);
        if (unsigned4 && has_min) return plain_layout(PackedFormat::kQ4_1);
        if (!signed4 && !unsigned4)
            return plain_layout(has_min ? PackedFormat::kQ8_1 : PackedFormat::kQ8_0);
    }
    PackedLayout layout;
    layout.format = signed4     ? PackedFormat::kSuperS4
                    : unsigned4 ? PackedFormat::kSuperU4
                                : PackedFormat::kSuperS8;
    layout.has_min = has_min;
    if (has_factors(f)) {
        layout.super_cols = f.block_elems;
        layout.factor_cols = f.group % kBlockCols == 0 ? kBlockCols : kHalfBlock;
    } else if (f.group % kBlockCols == 0) {
        layout.super_cols = f.group;
    } else {
        return float_layout(TENON_F32);
    }
    const uint32_t kinds = has_min ? 2 : 1;
    const uint32_t factors =
        layout.factor_cols == 0 ? 0 : layout.super_cols / layout.factor_cols * kGroupRows;
    layout.head_bytes = kinds * (kGroupRows * static_cast<uint32_t>(sizeof(float)) + factors);
    layout.super_bytes =
        layout.head_bytes + layout.super_cols / kBlockCols * geometry(layout.format).code_bytes;
    return layout;
}

const char* format_name(PackedFormat format) noexcept { return geometry(format).name; }

bool is_quantised(PackedFormat format) noexcept { return geometry(format).code_bytes != 0; }

size_t stored_row_bytes(const tenon_format& format, uint32_t cols) noexcept {
    return size_t{cols / format.block_elems} * format.block_bytes;
}

size_t group_bytes(const PackedLayout& layout, uint32_t cols) noexcept {
    const Geometry& g = geometry(layout.format);
    if (g.code_bytes == 0) return size_t{g.element_bytes} * cols * kGroupRows;
    if (layout.super_cols != 0) return size_t{cols / layout.super_cols} * layout.super_bytes;
    return size_t{cols / kBlockCols} * block_bytes(g);
}

uint32_t group_count(uint32_t rows) noexcept {
    return rows / kGroupRows + (rows % kGroupRows != 0);
}

}  // namespace tenon::kernels
