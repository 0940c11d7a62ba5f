// The reference decoder of stored weights: any described tenon_format to float.
//
// Driven by the description alone; every faster decoder is tested against it. Multiplies and adds
// in float in the order the class is written: scale * (q - zero_point) + min. Header-only, C++17;
// never allocates. Bytes are little endian and may have any alignment.
#pragma once

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

// Bytes of one element of a float type that a format may use for its scale, min or elements; 0 for
// any other type.
inline uint32_t float_type_bytes(uint32_t dtype) {
    return dtype == TENON_F32 ? 4 : dtype == TENON_F16 || dtype == TENON_BF16 ? 2 : 0;
}

// Element `index` of an array of a type for which float_type_bytes is not 0.
inline float load_float(uint32_t dtype, const unsigned char* array, int64_t index) {
    if (dtype == TENON_F32) {
        float value;
        std::memcpy(&value, array + index * 4, sizeof value);
        return value;
    }
    uint16_t bits;
    std::memcpy(&bits, array + index * 2, sizeof bits);
    return dtype == TENON_F16 ? float_from_f16(bits) : float_from_bf16(bits);
}

// Code i of a block of `format`: signed where packing is BYTES, else unsigned.
inline int32_t load_code(const tenon_format& format, const unsigned char* block, uint32_t i) {
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

// Why dequant_row cannot decode `format`, as part of a sentence; null when it can. A description
// that passes here never makes dequant_row read outside its row.
inline const char* format_problem(const tenon_format& f) {
    if (f.block_elems == 0 || f.block_bytes == 0) return "a block holds nothing";
    const uint64_t scale_bytes = float_type_bytes(f.scale_type);
    if (scale_bytes == 0) return "scale_type is not F32, F16 or BF16";
    if (f.cls == TENON_FORMAT_FLOAT)
        return f.block_elems * scale_bytes == f.block_bytes
                   ? nullptr
                   : "block_bytes does not hold the elements";
    if (f.cls != TENON_FORMAT_AFFINE_GROUP && f.cls != TENON_FORMAT_LUT_GROUP)
        return "its class has no generic decoder";
    if (f.bits < 1 || f.bits > 8) return "bits is not in 1 .. 8";
    uint64_t code_bytes;
    if (f.packing == TENON_PACK_BYTES) {
        if (f.cls == TENON_FORMAT_LUT_GROUP) return "signed codes cannot index a codebook";
        code_bytes = f.block_elems;
    } else if (f.packing == TENON_PACK_NIBBLE_HALVES) {
        if (f.bits != 4 || f.block_elems % 2 != 0) return "nibbles need 4 bits and an even block";
        code_bytes = f.block_elems / 2;
    } else if (f.packing == TENON_PACK_LSB_FIRST) {
        code_bytes = (static_cast<uint64_t>(f.block_elems) * f.bits + 7) / 8;
    } else {
        return "packing is unknown";
    }
    if (f.codes_offset + code_bytes > f.block_bytes) return "the codes leave the block";
    if (f.group == 0 || f.block_elems % f.group != 0) return "group does not divide block_elems";
    const uint64_t groups = f.block_elems / f.group;
    if (f.scale_offset + groups * scale_bytes > f.block_bytes) return "the scale leaves the block";
    if (f.min_type != 0) {
        const uint64_t min_bytes = float_type_bytes(f.min_type);
        if (min_bytes == 0) return "min_type is not F32, F16 or BF16";
        if (f.min_offset + groups * min_bytes > f.block_bytes) return "the min leaves the block";
    }
    if (f.cls == TENON_FORMAT_LUT_GROUP && (f.lut == nullptr || f.lut_n < (1u << f.bits)))
        return "the codebook is shorter than its codes";
    return nullptr;
}

// Expands one row: `cols` elements, a multiple of block_elems, at `row` to out[0 .. cols). `out`
// aliases no byte of the row. Group g of a block has its scale and min as element g of the arrays
// at scale_offset and min_offset. False, with `out` untouched, when format_problem(format) is not
// null or cols does not fit.
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
            const int64_t group = i / format.group;
            const int32_t code = load_code(format, block, i);
            const float unit = format.cls == TENON_FORMAT_LUT_GROUP
                                   ? format.lut[code]
                                   : static_cast<float>(code - format.zero_point);
            float value = load_float(format.scale_type, block + format.scale_offset, group) * unit;
            if (format.min_type != 0)
                value += load_float(format.min_type, block + format.min_offset, group);
            out[done + i] = value;
        }
    }
    return true;
}

}  // namespace reference
}  // namespace tenon
