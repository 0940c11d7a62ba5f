#include "backends/vulkan/pack.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <vector>

#include <tenon/reference/dequant.h>

#include "backends/vulkan/code_bits.h"

namespace tenon::vulkan {
namespace {

constexpr int32_t kSignedZero = 128;  // signed bytes and wide codebooks are stored with this added
constexpr int32_t kExponentZero = 127;  // bias of E8M0
constexpr uint32_t kLutCodes = 16;

uint64_t round_up(uint64_t value, uint64_t unit) noexcept {
    return (value + unit - 1) / unit * unit;
}

uint64_t padded_cols(uint32_t cols) noexcept { return round_up(cols, kBlockCols); }

uint64_t pieces(uint64_t cols, uint32_t unit) noexcept { return (cols + unit - 1) / unit; }

// Bytes of a scale and its min where they are floats.
uint32_t float_entry_bytes(const PackedLayout& layout) noexcept {
    return (layout.has_min ? 2 : 1) * (layout.scale_mode == ScaleMode::kFloat16 ? 2 : 4);
}

// Bits of the codes of a scale and its min.
uint32_t coded_entry_bits(const PackedLayout& layout) noexcept {
    return (layout.has_min ? 2 : 1) * layout.scale_bits;
}

// Bytes of the outer scales of a row, in front of the codes.
uint64_t outer_bytes(const PackedLayout& layout, uint64_t cols) noexcept {
    if (layout.outer == 0) return 0;
    return round_up(pieces(cols, layout.outer) * float_entry_bytes(layout), sizeof(uint32_t));
}

// How many doublings make every level an int8; false when none does.
bool integer_levels(const tenon_format& format, int32_t* doublings) noexcept {
    constexpr int32_t kDoublingsMax = 16;
    const uint32_t n = 1u << format.bits;
    for (int32_t tried = 0; tried <= 2 * kDoublingsMax; ++tried) {
        const int32_t power = tried <= kDoublingsMax ? tried : kDoublingsMax - tried;
        const bool fits = std::all_of(format.lut, format.lut + n, [&](float level) {
            const float scaled = std::ldexp(level, power);
            return std::fabs(scaled) <= 127 && scaled == std::nearbyint(scaled);
        });
        if (fits) {
            *doublings = power;
            return true;
        }
    }
    return false;
}

// Bits of the widest code of `fields`.
uint32_t widest_code(const tenon_bit_field* fields, uint32_t n) noexcept {
    uint32_t bits = 0;
    for (uint32_t i = 0; i < n; ++i)
        bits = std::max(bits, fields[i].place + fields[i].bits);
    return bits;
}

// How the scales and mins of codes lie, of which group and has_min are chosen; levels of a codebook
// are doubled `doublings` times.
void choose_scales(const tenon_format& f, int32_t doublings, PackedLayout* layout) noexcept {
    const bool coded_min = f.n_min_fields != 0;
    // Halving a binary16 could lose its last bits.
    const bool halves =
        f.scale_type == TENON_F16 && doublings == 0 && (f.min_type == 0 || f.min_type == TENON_F16);
    if (f.n_scale_fields == 0) {
        if (f.scale_type == TENON_E8M0 && f.min_type == 0 && doublings >= 0) {
            layout->scale_mode = ScaleMode::kExponent;
            layout->scale_bits = 8;
            layout->scale_zero = kExponentZero + doublings;
        } else if (halves && !coded_min) {
            layout->scale_mode = ScaleMode::kFloat16;
        }
        return;
    }
    // Else a scale is its product, in binary32.
    if (f.block_elems % kBlockCols != 0 || coded_min != layout->has_min) return;
    const bool is_signed = (f.flags & TENON_FORMAT_SCALE_SIGNED) != 0;
    if (halves) layout->scale_mode = ScaleMode::kFloat16;
    layout->outer = f.block_elems;
    layout->scale_zero = f.scale_zero + (is_signed ? kSignedZero : 0);
    const uint32_t bits = std::max(widest_code(f.scale_fields, f.n_scale_fields),
                                   widest_code(f.min_fields, f.n_min_fields));
    layout->scale_bits = bits <= 4 && !is_signed ? 4 : 8;
}

// The planes of a code of 1 to 8 bits.
void split_bits(uint32_t bits, PackedLayout* layout) noexcept {
    layout->lo_bits = bits <= 3 ? 2 : bits <= 6 ? 4 : 8;
    layout->hi_bits = bits > layout->lo_bits ? bits - layout->lo_bits : 0;
}

// Scale and min number `index` of an array of floats.
void load_floats(const PackedLayout& layout, const uint8_t* row, uint64_t index, float* scale,
                 float* min) noexcept {
    const uint32_t per_entry = layout.has_min ? 2 : 1;
    *min = 0;
    for (uint32_t part = 0; part < per_entry; ++part) {
        float* value = part == 0 ? scale : min;
        if (layout.scale_mode == ScaleMode::kFloat16) {
            uint16_t bits;
            std::memcpy(&bits, row + (index * per_entry + part) * sizeof bits, sizeof bits);
            *value = reference::float_from_f16(bits);
        } else {
            std::memcpy(value, row + (index * per_entry + part) * sizeof(float), sizeof(float));
        }
    }
}

// Those of column `column` of a row of plane scale.
void load_scales(const PackedLayout& layout, const uint8_t* row, uint32_t cols, uint32_t column,
                 float* scale, float* min) noexcept {
    const uint64_t group = column / layout.group;
    if (layout.scale_bits == 0) {
        load_floats(layout, row, group, scale, min);
        return;
    }
    const uint8_t* codes = row + outer_bytes(layout, cols);
    const uint64_t first = layout.has_min ? 2 * group : group;
    const int32_t code =
        static_cast<int32_t>(get_bits(codes, first, layout.scale_bits)) - layout.scale_zero;
    if (layout.scale_mode == ScaleMode::kExponent) {
        *scale = std::ldexp(1.0f, code);
        *min = 0;
        return;
    }
    load_floats(layout, row, column / layout.outer, scale, min);
    *scale *= static_cast<float>(code);
    if (layout.has_min) *min *= static_cast<float>(get_bits(codes, first + 1, layout.scale_bits));
}

// A min is subtracted by its sign, which no product loses.
float signed_min(const tenon_format& f, float min) noexcept {
    return (f.flags & TENON_FORMAT_MIN_SUBTRACTED) != 0 ? -min : min;
}

}  // namespace

// What packing codes needs to know about a format.
struct Packer::Tables {
    const tenon_format* format = nullptr;
    uint64_t stored_row = 0;
    PlaneBytes planes;
    std::vector<Run> runs;
    bool remap = false;  // code -> new_code
    uint8_t new_code[256] = {};
    float unit = 1;  // what a scale is multiplied with
};

bool operator==(const PackedLayout& a, const PackedLayout& b) noexcept {
    return a.cls == b.cls && a.lo_bits == b.lo_bits && a.hi_bits == b.hi_bits &&
           a.group == b.group && a.scale_mode == b.scale_mode && a.outer == b.outer &&
           a.scale_bits == b.scale_bits && a.scale_zero == b.scale_zero && a.has_min == b.has_min &&
           a.has_lut == b.has_lut && a.zero == b.zero &&
           std::memcmp(a.lut, b.lut, sizeof a.lut) == 0;
}

PackedLayout choose_layout(const tenon_format& format) noexcept {
    PackedLayout layout;
    if (format.cls == TENON_FORMAT_FLOAT) {
        layout.cls = format.scale_type == TENON_F16    ? PackedClass::kFloat16
                     : format.scale_type == TENON_BF16 ? PackedClass::kBfloat16
                                                       : PackedClass::kFloat32;
        return layout;
    }
    if (format.group % 16 != 0) return layout;
    PackedLayout codes;
    codes.cls = PackedClass::kCodes;
    codes.group = format.group % 32 == 0 ? format.group : 16;
    codes.has_min = format.min_type != 0;
    int32_t doublings = 0;
    if (format.cls == TENON_FORMAT_LUT_GROUP && !integer_levels(format, &doublings)) return layout;
    choose_scales(format, doublings, &codes);
    if (format.cls == TENON_FORMAT_LUT_GROUP) {
        if ((1u << format.bits) > kLutCodes) {
            codes.lo_bits = 8;
            codes.zero = kSignedZero;
            return codes;
        }
        split_bits(format.bits, &codes);
        codes.has_lut = true;
        for (uint32_t i = 0; i < (1u << format.bits); ++i)
            codes.lut[i] = static_cast<int8_t>(std::ldexp(format.lut[i], doublings));
        return codes;
    }
    codes.zero = format.zero_point;
    if (format.packing == TENON_PACK_BYTES) {
        codes.lo_bits = 8;
        codes.zero += kSignedZero;
    } else {
        split_bits(format.bits, &codes);
    }
    return codes;
}

PlaneBytes row_bytes(const PackedLayout& layout, uint32_t cols) noexcept {
    const uint64_t padded = padded_cols(cols);
    PlaneBytes bytes;
    if (layout.cls != PackedClass::kCodes) {
        bytes.lo = padded * (layout.cls == PackedClass::kFloat32 ? 4 : 2);
        return bytes;
    }
    bytes.lo = round_up(padded * layout.lo_bits / 8, 16);
    bytes.hi = round_up(padded * layout.hi_bits / 8, 16);
    const uint64_t groups = pieces(padded, layout.group);
    const uint64_t scales =
        layout.scale_bits == 0
            ? groups * float_entry_bytes(layout)
            : outer_bytes(layout, cols) + (groups * coded_entry_bits(layout) + 7) / 8;
    bytes.scale = round_up(scales, 16);
    return bytes;
}

uint64_t stored_row_bytes(const tenon_format& format, uint32_t cols) noexcept {
    return uint64_t{cols} / format.block_elems * format.block_bytes;
}

Packer::~Packer() { delete tables_; }

bool Packer::init(const tenon_format& format, uint32_t cols) noexcept {
    layout_ = choose_layout(format);
    cols_ = cols;
    delete tables_;
    tables_ = new (std::nothrow) Tables;
    if (tables_ == nullptr) return false;
    Tables& t = *tables_;
    t.format = &format;
    t.stored_row = stored_row_bytes(format, cols);
    t.planes = row_bytes(layout_, cols);
    if (layout_.cls != PackedClass::kCodes) return true;
    try {
        t.runs = make_runs(format);
    } catch (const std::bad_alloc&) {
        return false;
    }
    if (format.cls == TENON_FORMAT_LUT_GROUP) {
        int32_t doublings = 0;
        integer_levels(format, &doublings);
        t.unit = std::ldexp(1.0f, -doublings);
        t.remap = !layout_.has_lut;
        for (uint32_t i = 0; t.remap && i < (1u << format.bits); ++i)
            t.new_code[i] = static_cast<uint8_t>(
                static_cast<int32_t>(std::ldexp(format.lut[i], doublings)) + kSignedZero);
    } else if (format.packing == TENON_PACK_BYTES) {
        t.remap = true;
        for (uint32_t i = 0; i < 256; ++i)
            t.new_code[i] = static_cast<uint8_t>(i ^ 0x80u);
    }
    return true;
}

void Packer::pack_floats(const uint8_t* stored, uint8_t* lo) const noexcept {
    const Tables& t = *tables_;
    uint64_t used = t.stored_row;
    if (layout_.cls == PackedClass::kFloat32 && t.format->cls != TENON_FORMAT_FLOAT) {
        reference::dequant_row(*t.format, stored, cols_, reinterpret_cast<float*>(lo));
        used = uint64_t{cols_} * sizeof(float);
    } else {
        std::memcpy(lo, stored, used);
    }
    std::memset(lo + used, 0, t.planes.lo - used);
}

size_t Packer::put_floats(const uint8_t* block, uint32_t g, uint8_t* out) const noexcept {
    const tenon_format& f = *tables_->format;
    // What the block stores, where its scales have two levels the outer ones.
    const bool stored = layout_.outer != 0;
    if (layout_.scale_mode == ScaleMode::kFloat16) {
        std::memcpy(out, block + f.scale_offset + 2 * g, 2);
        if (!layout_.has_min) return 2;
        uint16_t min;
        std::memcpy(&min, block + f.min_offset + 2 * g, sizeof min);
        min = static_cast<uint16_t>((f.flags & TENON_FORMAT_MIN_SUBTRACTED) != 0 ? min ^ 0x8000u
                                                                                 : min);
        std::memcpy(out + 2, &min, 2);
        return 4;
    }
    // 2^-127 and 2^128 of E8M0 times the unit, before either leaves the floats.
    const float scale =
        stored ? reference::load_float(f.scale_type, block + f.scale_offset, 0) * tables_->unit
               : reference::scaled(f, block, g, tables_->unit);
    std::memcpy(out, &scale, 4);
    if (!layout_.has_min) return 4;
    const float min =
        stored ? signed_min(f, reference::load_float(f.min_type, block + f.min_offset, 0))
               : reference::load_min(f, block, g);
    std::memcpy(out + 4, &min, 4);
    return 8;
}

uint32_t Packer::scale_codes(const uint8_t* block, uint32_t g) const noexcept {
    const tenon_format& f = *tables_->format;
    if (layout_.scale_mode == ScaleMode::kExponent) return block[f.scale_offset + g];
    uint32_t codes = reference::load_digits(f.scale_fields, f.n_scale_fields, block, g);
    if ((f.flags & TENON_FORMAT_SCALE_SIGNED) != 0) codes ^= 0x80u;
    if (layout_.has_min)
        codes |= reference::load_digits(f.min_fields, f.n_min_fields, block, g)
                 << layout_.scale_bits;
    return codes;
}

void Packer::pack_scales(const uint8_t* stored, uint8_t* out) const noexcept {
    const tenon_format& f = *tables_->format;
    const uint32_t repeats = f.group / layout_.group;
    const uint32_t bits = coded_entry_bits(layout_);
    uint8_t* floats = out;
    uint8_t* const codes = out + outer_bytes(layout_, cols_);
    uint64_t bit = 0;  // of codes
    std::memset(out, 0, tables_->planes.scale);
    const uint8_t* block = stored;
    for (uint32_t done = 0; done < cols_; done += f.block_elems, block += f.block_bytes) {
        if (layout_.outer != 0) floats += put_floats(block, 0, floats);
        for (uint32_t g = 0; g < f.block_elems / f.group; ++g) {
            if (bits == 0) {
                uint8_t entry[8];
                const size_t bytes = put_floats(block, g, entry);
                for (uint32_t i = 0; i < repeats; ++i, floats += bytes)
                    std::memcpy(floats, entry, bytes);
                continue;
            }
            // 4, 8 or 16 bits, which cross no byte or fill two.
            const uint32_t entry = scale_codes(block, g);
            for (uint32_t i = 0; i < repeats; ++i, bit += bits) {
                codes[bit / 8] |= static_cast<uint8_t>(entry << bit % 8);
                if (bits == 16) codes[bit / 8 + 1] = static_cast<uint8_t>(entry >> 8);
            }
        }
    }
}

bool Packer::pack(const void* stored, uint32_t rows, const PackedPlanes& planes) const noexcept {
    const Tables& t = *tables_;
    const auto* row = static_cast<const uint8_t*>(stored);
    if (layout_.cls != PackedClass::kCodes) {
        for (uint32_t r = 0; r < rows; ++r)
            pack_floats(row + r * t.stored_row, planes.lo + r * t.planes.lo);
        return true;
    }
    const uint64_t padded = padded_cols(cols_);
    auto* codes = static_cast<uint8_t*>(::operator new(padded, std::nothrow));
    if (codes == nullptr) return false;
    for (uint32_t r = 0; r < rows; ++r, row += t.stored_row) {
        std::memset(codes, 0, padded);
        const uint8_t* block = row;
        for (uint32_t done = 0; done < cols_;
             done += t.format->block_elems, block += t.format->block_bytes)
            for (const Run& run : t.runs)
                add_run(run, block + run.byte, codes + done + run.first);
        if (t.remap)
            for (uint32_t i = 0; i < cols_; ++i)
                codes[i] = t.new_code[codes[i]];
        uint8_t* lo = planes.lo + r * t.planes.lo;
        const uint64_t lo_used = padded * layout_.lo_bits / 8;
        put_bits(codes, padded, 0, layout_.lo_bits, lo);
        std::memset(lo + lo_used, 0, t.planes.lo - lo_used);
        if (layout_.hi_bits != 0) {
            uint8_t* hi = planes.hi + r * t.planes.hi;
            const uint64_t hi_used = padded * layout_.hi_bits / 8;
            put_bits(codes, padded, layout_.lo_bits, layout_.hi_bits, hi);
            std::memset(hi + hi_used, 0, t.planes.hi - hi_used);
        }
        pack_scales(row, planes.scale + r * t.planes.scale);
    }
    ::operator delete(codes);
    return true;
}

void unpack_row(const PackedLayout& layout, const uint8_t* lo, const uint8_t* hi,
                const uint8_t* scale, uint32_t cols, uint64_t row, float* out) noexcept {
    const PlaneBytes bytes = row_bytes(layout, cols);
    lo += row * bytes.lo;
    if (layout.cls != PackedClass::kCodes) {
        const uint32_t dtype = layout.cls == PackedClass::kFloat32   ? TENON_F32
                               : layout.cls == PackedClass::kFloat16 ? TENON_F16
                                                                     : TENON_BF16;
        for (uint32_t i = 0; i < cols; ++i)
            out[i] = reference::load_float(dtype, lo, i);
        return;
    }
    for (uint32_t i = 0; i < cols; ++i) {
        uint32_t code = get_bits(lo, i, layout.lo_bits);
        if (layout.hi_bits != 0)
            code |= get_bits(hi + row * bytes.hi, i, layout.hi_bits) << layout.lo_bits;
        float factor, min;
        load_scales(layout, scale + row * bytes.scale, cols, i, &factor, &min);
        const float unit = layout.has_lut
                               ? static_cast<float>(layout.lut[code])
                               : static_cast<float>(static_cast<int32_t>(code) - layout.zero);
        const float value = factor * unit;
        out[i] = layout.has_min ? value + min : value;
    }
}

DecodeConstants decode_constants(const PackedLayout& layout) noexcept {
    DecodeConstants constants{};
    const auto set = [&](uint32_t id, uint32_t value) {
        constants.word[id - TENON_DECODE_SPEC_FIRST] = value;
    };
    set(TENON_SPEC_CLS, static_cast<uint32_t>(layout.cls));
    set(TENON_SPEC_LO_BITS, layout.lo_bits);
    set(TENON_SPEC_HI_BITS, layout.hi_bits);
    set(TENON_SPEC_GROUP, layout.group);
    set(TENON_SPEC_SCALE_MODE, static_cast<uint32_t>(layout.scale_mode));
    set(TENON_SPEC_OUTER, layout.outer);
    set(TENON_SPEC_SCALE_BITS, layout.scale_bits);
    set(TENON_SPEC_SCALE_ZERO, static_cast<uint32_t>(layout.scale_zero));
    set(TENON_SPEC_HAS_MIN, layout.has_min ? 1 : 0);
    set(TENON_SPEC_ZERO, static_cast<uint32_t>(layout.zero));
    set(TENON_SPEC_HAS_LUT, layout.has_lut ? 1 : 0);
    for (uint32_t i = 0; i < kLutCodes; ++i) {
        const uint32_t level = static_cast<uint8_t>(layout.lut[i]);
        constants.word[TENON_SPEC_LUT_0 - TENON_DECODE_SPEC_FIRST + i / 4] |= level << i % 4 * 8;
    }
    return constants;
}

}  // namespace tenon::vulkan
