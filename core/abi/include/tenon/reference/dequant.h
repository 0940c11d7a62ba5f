// The reference decoder of stored weights: any described tenon_format to float.
//
// Driven by the description alone; every faster decoder is tested against it. Multiplies and adds
// in float in the order the class is written: scale * (q - zero_point) + min, where a scale out of
// two factors is their product first. Header-only, C++17; never allocates. Bytes are little endian
// and may have any alignment.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include <tenon/abi.h>

namespace tenon {
namespace reference {

// IEEE binary16 to binary32, exact; NaN payloads are kept.
inline float float_from_f16(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu;
    uint32_t mantissa = bits & 0x3ffu;
    uint32_t out;
    if (exponent == 0x1f) {
        out = sign | 0x7f800000u | (mantissa << 13);
    } else if (exponent != 0) {
        out = sign | ((exponent + 112) << 23) | (mantissa << 13);
    } else if (mantissa == 0) {
        out = sign;
    } else {
        uint32_t shift = 0;
        while (!(mantissa & 0x400u)) {
            mantissa <<= 1;
            ++shift;
        }
        out = sign | ((113 - shift) << 23) | ((mantissa & 0x3ffu) << 13);
    }
    float value;
    std::memcpy(&value, &out, sizeof value);
    return value;
}

inline float float_from_bf16(uint16_t bits) {
    const uint32_t out = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &out, sizeof value);
    return value;
}

// Bytes of one element of a type that a format may use for its scale, min or elements; 0 for any
// other type.
inline uint32_t float_type_bytes(uint32_t dtype) {
    return dtype == TENON_F32                          ? 4
           : dtype == TENON_F16 || dtype == TENON_BF16 ? 2
           : dtype == TENON_E8M0                       ? 1
                                                       : 0;
}

// Element `index` of an array of a type for which float_type_bytes is not 0. The exponent 255 of
// E8M0 gives infinity: see scaled().
inline float load_float(uint32_t dtype, const unsigned char* array, int64_t index) {
    if (dtype == TENON_E8M0) return std::ldexp(1.0f, int{array[index]} - 127);
    if (dtype == TENON_F32) {
        float value;
        std::memcpy(&value, array + index * 4, sizeof value);
        return value;
    }
    uint16_t bits;
    std::memcpy(&bits, array + index * 2, sizeof bits);
    return dtype == TENON_F16 ? float_from_f16(bits) : float_from_bf16(bits);
}

// Digits of `field` in a byte.
inline uint32_t digits_per_byte(const tenon_bit_field& field) {
    return field.radix == 3 ? 5 : (8 - field.shift) / field.bits;
}

// The code that `fields` give element i of a block; 0 where no field names it.
inline uint32_t load_digits(const tenon_bit_field* fields, uint32_t n, const unsigned char* block,
                            uint32_t i) {
    uint32_t code = 0;
    for (const tenon_bit_field* field = fields; field != fields + n; ++field) {
        if (i < field->first || i - field->first >= field->count) continue;
        const uint32_t span = field->lanes * digits_per_byte(*field);
        const uint32_t at = i - field->first;
        const uint32_t byte = block[field->offset + at / span * field->lanes + at % field->lanes];
        const uint32_t digit = at % span / field->lanes;
        uint32_t value;
        if (field->radix == 3) {
            uint32_t turned = byte;
            for (uint32_t d = 0; d < digit; ++d)
                turned = turned * 3 & 255;
            value = turned * 3 >> 8;
        } else {
            value = byte >> (field->shift + digit * field->bits) & ((1u << field->bits) - 1);
        }
        code |= value << field->place;
    }
    return code;
}

// Code i of a block of `format`: signed where packing is BYTES, else unsigned.
inline int32_t load_code(const tenon_format& format, const unsigned char* block, uint32_t i) {
    if (format.packing == TENON_PACK_FIELDS)
        return static_cast<int32_t>(
            load_digits(format.code_fields, format.n_code_fields, block, i));
    const unsigned char* codes = block + format.codes_offset;
    if (format.packing == TENON_PACK_BYTES) return static_cast<int8_t>(codes[i]);
    if (format.packing == TENON_PACK_NIBBLE_HALVES) {
        const uint32_t half = format.block_elems / 2;
        return i < half ? codes[i] & 0x0f : codes[i - half] >> 4;
    }
    const uint64_t bit = static_cast<uint64_t>(i) * format.bits;
    uint32_t code = codes[bit / 8] >> (bit % 8);
    if (bit % 8 + format.bits > 8)
        code |= static_cast<uint32_t>(codes[bit / 8 + 1]) << (8 - bit % 8);
    return static_cast<int32_t>(code & ((1u << format.bits) - 1));
}

// The integer that multiplies a block's scale for group g; 1 without scale_fields.
inline int32_t load_scale_code(const tenon_format& format, const unsigned char* block, uint32_t g) {
    if (format.n_scale_fields == 0) return 1;
    const uint32_t code = load_digits(format.scale_fields, format.n_scale_fields, block, g);
    return ((format.flags & TENON_FORMAT_SCALE_SIGNED) != 0 ? static_cast<int8_t>(code)
                                                            : static_cast<int32_t>(code)) -
           format.scale_zero;
}

// What multiplies the units of group g.
inline float load_scale(const tenon_format& format, const unsigned char* block, uint32_t g) {
    if (format.n_scale_fields == 0)
        return load_float(format.scale_type, block + format.scale_offset, g);
    return load_float(format.scale_type, block + format.scale_offset, 0) *
           static_cast<float>(load_scale_code(format, block, g));
}

// What is added to the elements of group g; 0 without min_type.
inline float load_min(const tenon_format& format, const unsigned char* block, uint32_t g) {
    if (format.min_type == 0) return 0.0f;
    const bool coded = format.n_min_fields != 0;
    float min = load_float(format.min_type, block + format.min_offset, coded ? 0 : g);
    if (coded)
        min *= static_cast<float>(load_digits(format.min_fields, format.n_min_fields, block, g));
    return (format.flags & TENON_FORMAT_MIN_SUBTRACTED) != 0 ? -min : min;
}

// The limits of a description.
inline constexpr uint32_t kFormatBlockElemsMax = 65536;
inline constexpr uint32_t kFormatBlockBytesMax = 1u << 20;
inline constexpr uint32_t kFormatFieldsMax = 16;

// Why `fields` cannot give `count` codes of `bits` bits out of a block, or null.
inline const char* fields_problem(const tenon_bit_field* fields, uint32_t n, uint32_t count,
                                  uint32_t bits, uint32_t block_bytes) {
    if (n == 0 || n > kFormatFieldsMax || fields == nullptr)
        return "it has no bit fields, or over 16";
    for (const tenon_bit_field* f = fields; f != fields + n; ++f) {
        if (f->radix == 3 ? f->bits != 2 || f->shift != 0
                          : f->radix != 2 || f->bits < 1 || f->shift > 7 || f->bits > 8 - f->shift)
            return "a bit field has digits that fit no byte";
        if (f->place > 8 || f->place + f->bits > bits) return "a bit field is wider than its code";
        if (f->count == 0 || f->first >= count || f->count > count - f->first)
            return "a bit field names codes that the block does not have";
        if (f->lanes == 0 || f->lanes > block_bytes) return "a bit field has no lanes, or too many";
        const uint64_t span = uint64_t{f->lanes} * digits_per_byte(*f);
        const uint64_t last = f->count - 1;
        const uint64_t rest = last % span;
        const uint64_t end =
            f->offset + last / span * f->lanes + (rest < f->lanes ? rest + 1 : f->lanes);
        if (end > block_bytes) return "a bit field leaves the block";
    }
    for (uint32_t i = 0; i < count; ++i) {
        bool named = false;
        for (const tenon_bit_field* f = fields; f != fields + n && !named; ++f)
            named = i >= f->first && i - f->first < f->count;
        if (!named) return "a code has no bit field";
    }
    return nullptr;
}

// Why dequant_row cannot decode `format`, as part of a sentence; null when it can. A description
// that passes here never makes dequant_row read outside its row.
inline const char* format_problem(const tenon_format& f) {
    if (f.block_elems == 0 || f.block_bytes == 0) return "a block holds nothing";
    if (f.block_elems > kFormatBlockElemsMax || f.block_bytes > kFormatBlockBytesMax)
        return "a block is larger than 65536 elements or 1 MiB";
    const uint64_t scale_bytes = float_type_bytes(f.scale_type);
    if (scale_bytes == 0) return "scale_type is not F32, F16, BF16 or E8M0";
    if (f.cls == TENON_FORMAT_FLOAT)
        return f.scale_type != TENON_E8M0 && f.block_elems * scale_bytes == f.block_bytes
                   ? nullptr
                   : "block_bytes does not hold the elements";
    if (f.cls != TENON_FORMAT_AFFINE_GROUP && f.cls != TENON_FORMAT_LUT_GROUP)
        return "its class has no generic decoder";
    if (f.bits < 1 || f.bits > 8) return "bits is not in 1 .. 8";
    uint64_t code_bytes = 0;
    if (f.packing == TENON_PACK_BYTES) {
        if (f.cls == TENON_FORMAT_LUT_GROUP) return "signed codes cannot index a codebook";
        code_bytes = f.block_elems;
    } else if (f.packing == TENON_PACK_NIBBLE_HALVES) {
        if (f.bits != 4 || f.block_elems % 2 != 0) return "nibbles need 4 bits and an even block";
        code_bytes = f.block_elems / 2;
    } else if (f.packing == TENON_PACK_LSB_FIRST) {
        code_bytes = (static_cast<uint64_t>(f.block_elems) * f.bits + 7) / 8;
    } else if (f.packing == TENON_PACK_FIELDS) {
        const char* problem =
            fields_problem(f.code_fields, f.n_code_fields, f.block_elems, f.bits, f.block_bytes);
        if (problem != nullptr) return problem;
    } else {
        return "packing is unknown";
    }
    if (f.packing != TENON_PACK_FIELDS && f.codes_offset + code_bytes > f.block_bytes)
        return "the codes leave the block";
    if (f.group == 0 || f.block_elems % f.group != 0) return "group does not divide block_elems";
    const uint32_t groups = f.block_elems / f.group;
    if (f.n_scale_fields != 0) {
        const char* problem =
            fields_problem(f.scale_fields, f.n_scale_fields, groups, 8, f.block_bytes);
        if (problem != nullptr) return problem;
        // Keeps a scale's code minus its zero an exact float, and far from overflow.
        if (f.scale_zero < -256 || f.scale_zero > 256) return "scale_zero is not in -256 .. 256";
    }
    if (f.zero_point < -65536 || f.zero_point > 65536)
        return "zero_point is not in -65536 .. 65536";
    const uint64_t scales = f.n_scale_fields != 0 ? 1 : groups;
    if (f.scale_offset + scales * scale_bytes > f.block_bytes) return "the scale leaves the block";
    if (f.min_type != 0) {
        const uint64_t min_bytes = float_type_bytes(f.min_type);
        if (min_bytes == 0) return "min_type is not F32, F16, BF16 or E8M0";
        if (f.n_min_fields != 0) {
            const char* problem =
                fields_problem(f.min_fields, f.n_min_fields, groups, 8, f.block_bytes);
            if (problem != nullptr) return problem;
        }
        const uint64_t mins = f.n_min_fields != 0 ? 1 : groups;
        if (f.min_offset + mins * min_bytes > f.block_bytes) return "the min leaves the block";
    } else if (f.n_min_fields != 0) {
        return "min_fields have no min_type";
    }
    if (f.cls == TENON_FORMAT_LUT_GROUP && (f.lut == nullptr || f.lut_n < (1u << f.bits)))
        return "the codebook is shorter than its codes";
    return nullptr;
}

// unit times group g's scale. An E8M0 scale moves the exponent and nothing else, so 255 is as good
// as any other where the product is finite.
inline float scaled(const tenon_format& format, const unsigned char* block, uint32_t g,
                    float unit) {
    if (format.scale_type == TENON_E8M0 && format.n_scale_fields == 0)
        return std::ldexp(unit, int{block[format.scale_offset + g]} - 127);
    return load_scale(format, block, g) * unit;
}

// Expands one row: `cols` elements, a multiple of block_elems, at `row` to out[0 .. cols). `out`
// aliases no byte of the row. False, with `out` untouched, when format_problem(format) is not null
// or cols does not fit.
inline bool dequant_row(const tenon_format& format, const void* row, int64_t cols, float* out) {
    if (format_problem(format) != nullptr || cols < 0 || cols % format.block_elems != 0)
        return false;
    const unsigned char* block = static_cast<const unsigned char*>(row);
    if (format.cls == TENON_FORMAT_FLOAT) {
        for (int64_t i = 0; i < cols; ++i)
            out[i] = load_float(format.scale_type, block, i);
        return true;
    }
    for (int64_t done = 0; done < cols; done += format.block_elems, block += format.block_bytes) {
        for (uint32_t i = 0; i < format.block_elems; ++i) {
            const uint32_t group = i / format.group;
            const int32_t code = load_code(format, block, i);
            const float unit = format.cls == TENON_FORMAT_LUT_GROUP
                                   ? format.lut[code]
                                   : static_cast<float>(code - format.zero_point);
            float value = scaled(format, block, group, unit);
            if (format.min_type != 0) value += load_min(format, block, group);
            out[done + i] = value;
        }
    }
    return true;
}

}  // namespace reference
}  // namespace tenon
