#include <algorithm>
#include <cmath>
#include <cstring>

#include <tenon/reference/dequant.h>

#include "kernels/cpu/pack/geometry.h"
#include "kernels/cpu/pack/levels.h"
#include "kernels/cpu/pack/stored_codes.h"

namespace tenon::kernels {
namespace {

constexpr uint32_t kBlockElemsMax = reference::kFormatBlockElemsMax;

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

float scale_of(const tenon_format& f, const uint8_t* block, uint32_t g, int32_t power) {
    if (f.scale_type == TENON_E8M0)
        return std::ldexp(1.0f, int{block[f.scale_offset + g]} - 127 - power);
    return std::ldexp(reference::load_float(f.scale_type, block + f.scale_offset, g), -power);
}

// Packs the blocks of one tensor, row after row.
class Packer {
public:
    Packer(const tenon_format& format, const PackedLayout& layout)
        : format_(format), layout_(layout), geometry_(geometry(layout.format)) {
        find_levels(format, &levels_);
        for (uint32_t i = 0; i < levels_.count; ++i)
            table_[i] = static_cast<uint8_t>(levels_.level[i] + geometry_.bias);
        signed_min_ = (format.flags & TENON_FORMAT_MIN_SUBTRACTED) != 0;
    }

    // Block `index` of a row becomes lane `lane` of its group.
    void pack(const uint8_t* block, uint32_t index, uint32_t lane, uint8_t* group) {
        load_codes(format_, block, codes_);
        if (format_.cls == TENON_FORMAT_LUT_GROUP) {
            for (uint32_t i = 0; i < format_.block_elems; ++i)
                codes_[i] = table_[codes_[i]];
        } else {
            // Levels are codes less a constant, modulo 256 too.
            const uint8_t first = table_[0];
            for (uint32_t i = 0; i < format_.block_elems; ++i)
                codes_[i] = static_cast<uint8_t>(codes_[i] + first);
        }
        const uint32_t blocks = format_.block_elems / kBlockCols;
        for (uint32_t b = 0; b < blocks; ++b) {
            auto* to =
                const_cast<uint8_t*>(codes_at(layout_, group, index * blocks + b)) + lane * 4;
            put_codes(codes_ + b * kBlockCols, to);
        }
        if (layout_.super_cols == 0)
            put_half_scales(block, index * blocks, lane, group);
        else
            put_supers(block, index, lane, group);
    }

private:
    void put_codes(const uint8_t* codes, uint8_t* to) const {
        uint32_t words[8];
        std::memcpy(words, codes, sizeof words);
        if (geometry_.code_bytes == 256) {
            for (uint32_t j = 0; j < 4; ++j)
                words[j] |= words[j + 4] << 4;
            for (uint32_t j = 0; j < 4; ++j)
                std::memcpy(to + j * 64, &words[j], 4);
        } else {
            for (uint32_t j = 0; j < 8; ++j)
                std::memcpy(to + j * 64, &words[j], 4);
        }
    }

    void put_half_scales(const uint8_t* block, uint32_t first, uint32_t lane,
                         uint8_t* group) const {
        for (uint32_t b = 0; b < format_.block_elems / kBlockCols; ++b) {
            uint8_t* to = group + size_t{first + b} * block_bytes(geometry_) +
                          geometry_.code_bytes + lane * 2;
            std::memcpy(to, block + format_.scale_offset + b * 2, 2);
            if (!geometry_.half_min) continue;
            uint16_t min;
            std::memcpy(&min, block + format_.min_offset + b * 2, 2);
            if (signed_min_) min ^= 0x8000u;
            std::memcpy(to + kHalfRow, &min, 2);
        }
    }

    void put_supers(const uint8_t* block, uint32_t index, uint32_t lane, uint8_t* group) {
        const uint32_t supers = format_.block_elems / layout_.super_cols;
        for (uint32_t s = 0; s < supers; ++s) {
            uint8_t* head = group + size_t{index * supers + s} * layout_.super_bytes;
            // Scales that were not coded with 8 bits or could not stay so are products here.
            float scale =
                layout_.factor_cols != 0 || format_.n_scale_fields == 0
                    ? scale_of(format_, block, s, levels_.power)
                    : std::ldexp(reference::load_scale(format_, block, s), -levels_.power);
            std::memcpy(head + lane * 4, &scale, 4);
            if (layout_.has_min) {
                float min = layout_.factor_cols != 0 ? super_min(block)
                                                     : reference::load_min(format_, block, s);
                std::memcpy(head + kFloatRow + lane * 4, &min, 4);
            }
        }
        if (layout_.factor_cols != 0) put_factors(block, index, lane, group);
    }

    float super_min(const uint8_t* block) const {
        const float min = reference::load_float(format_.min_type, block + format_.min_offset, 0);
        return signed_min_ ? -min : min;
    }

    void put_factors(const uint8_t* block, uint32_t index, uint32_t lane, uint8_t* group) {
        const uint32_t groups = format_.block_elems / format_.group;
        const uint32_t each = format_.group / layout_.factor_cols;  // rows that share a factor
        uint8_t* to = group + size_t{index} * layout_.super_bytes +
                      (layout_.has_min ? 2 : 1) * kFloatRow + lane;
        load_fields(format_.scale_fields, format_.n_scale_fields, block, groups, factors_);
        for (uint32_t g = 0; g < groups; ++g)
            for (uint32_t i = 0; i < each; ++i)
                to[(g * each + i) * kGroupRows] =
                    static_cast<uint8_t>(factors_[g] - format_.scale_zero);
        if (!layout_.has_min) return;
        to += groups * each * kGroupRows;
        load_fields(format_.min_fields, format_.n_min_fields, block, groups, factors_);
        for (uint32_t g = 0; g < groups; ++g)
            for (uint32_t i = 0; i < each; ++i)
                to[(g * each + i) * kGroupRows] = factors_[g];
    }

    const tenon_format& format_;
    const PackedLayout& layout_;
    const Geometry& geometry_;
    Levels levels_;
    bool signed_min_;
    uint8_t table_[256];
    uint8_t codes_[kBlockElemsMax];
    uint8_t factors_[kBlockElemsMax / (kBlockCols / 2)];
};

// Decodes the blocks of one tensor to floats, row after row: what no integer layout can say.
class Decoder {
public:
    explicit Decoder(const tenon_format& format) : format_(format) {
        const uint32_t count = code_count(format);
        for (uint32_t i = 0; i < count; ++i)
            units_[i] = unit_of(format, i);
    }

    void decode(const uint8_t* block, uint32_t index, uint32_t lane, uint8_t* group) {
        load_codes(format_, block, codes_);
        uint8_t* to = group + (size_t{index} * format_.block_elems * kGroupRows + lane) * 4;
        for (uint32_t i = 0; i < format_.block_elems; i += format_.group) {
            const uint32_t g = i / format_.group;
            // Only ldexp gives E8M0 its whole range.
            const bool shifted = format_.scale_type == TENON_E8M0 && format_.n_scale_fields == 0;
            const float scale = shifted ? 0.0f : reference::load_scale(format_, block, g);
            const float min = reference::load_min(format_, block, g);
            for (uint32_t k = i; k < i + format_.group; ++k) {
                const float unit = units_[codes_[k]];
                float value = shifted ? reference::scaled(format_, block, g, unit) : scale * unit;
                if (format_.min_type != 0) value += min;
                std::memcpy(to + size_t{k} * kFloatRow, &value, 4);
            }
        }
    }

private:
    const tenon_format& format_;
    float units_[256];
    uint8_t codes_[kBlockElemsMax];
};

template <class Take>
void for_each_block(const tenon_format& format, const uint8_t* stored, size_t row_stride,
                    uint32_t count, uint32_t cols, Take take) {
    for (uint32_t index = 0; index < cols / format.block_elems; ++index)
        for (uint32_t row = 0; row < count; ++row)
            take(stored + row * row_stride + size_t{index} * format.block_bytes, index, row);
}

}  // namespace

void pack_groups(const tenon_format& format, const void* stored, uint32_t rows, uint32_t cols,
                 uint32_t group_begin, uint32_t group_end, void* packed) noexcept {
    const PackedLayout layout = choose_layout(format);
    const size_t row_stride = stored_row_bytes(format, cols);
    const size_t stride = group_bytes(layout, cols);
    const auto source_of = [&](uint32_t group) {
        return static_cast<const uint8_t*>(stored) + size_t{group} * kGroupRows * row_stride;
    };
    const auto target_of = [&](uint32_t group) {
        return static_cast<uint8_t*>(packed) + size_t{group} * stride;
    };
    const auto count_of = [&](uint32_t group) {
        return std::min(kGroupRows, rows - group * kGroupRows);
    };
    if (format.cls == TENON_FORMAT_FLOAT) {
        for (uint32_t g = group_begin; g < group_end; ++g) {
            if (layout.format == PackedFormat::kF32)
                pack_elements<uint32_t>(source_of(g), row_stride, count_of(g), cols, target_of(g));
            else
                pack_elements<uint16_t>(source_of(g), row_stride, count_of(g), cols, target_of(g));
        }
        return;
    }
    const auto pack_with = [&](auto&& take_block) {
        for (uint32_t g = group_begin; g < group_end; ++g) {
            uint8_t* target = target_of(g);
            // Lanes of no row: a scale and a min of zero make them zeros.
            if (count_of(g) < kGroupRows) std::memset(target, 0, stride);
            for_each_block(format, source_of(g), row_stride, count_of(g), cols,
                           [&](const uint8_t* block, uint32_t index, uint32_t lane) {
                               take_block(block, index, lane, target);
                           });
        }
    };
    if (is_quantised(layout.format)) {
        Packer packer(format, layout);
        pack_with([&](auto... args) { packer.pack(args...); });
    } else {
        Decoder decoder(format);
        pack_with([&](auto... args) { decoder.decode(args...); });
    }
}

}  // namespace tenon::kernels
