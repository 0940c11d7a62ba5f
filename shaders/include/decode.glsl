// The only decoder of packed weights (backends/vulkan/pack.h says how they lie). Included after the
// includer declared, for weight number `set` of a dispatch:
//   uvec4 packed_lo(uint set, uint index)  16 bytes of plane lo
//   uint packed_lo_word(uint set, uint index), packed_hi(set, index), packed_scale(set, index)
// and after params, which hold lo_stride (16-byte units), hi_stride and scale_stride (words).
// Sequence: PackedBlock b = load_block(set, row, block); then decode_eight for each 8 of its 32
// columns. Values equal tenon/reference/dequant.h bit for bit where a device rounds multiplies and
// adds correctly and keeps subnormals.
#include "include/decode.h"

layout(constant_id = TENON_SPEC_CLS) const uint CLS = TENON_PACKED_CODES;
layout(constant_id = TENON_SPEC_LO_BITS) const uint LO_BITS = 4;
layout(constant_id = TENON_SPEC_HI_BITS) const uint HI_BITS = 0;
layout(constant_id = TENON_SPEC_GROUP) const uint GROUP = 32;
layout(constant_id = TENON_SPEC_SCALE_F16) const uint SCALE_F16 = 1;
layout(constant_id = TENON_SPEC_HAS_MIN) const uint HAS_MIN = 1;
layout(constant_id = TENON_SPEC_ZERO) const int ZERO = 0;
layout(constant_id = TENON_SPEC_HAS_LUT) const uint HAS_LUT = 0;
layout(constant_id = TENON_SPEC_LUT_0) const uint LUT_0 = 0;
layout(constant_id = TENON_SPEC_LUT_1) const uint LUT_1 = 0;
layout(constant_id = TENON_SPEC_LUT_2) const uint LUT_2 = 0;
layout(constant_id = TENON_SPEC_LUT_3) const uint LUT_3 = 0;

// Codes of 32 columns with their scales, still packed. Empty for the classes of floats.
struct PackedBlock {
    uvec4 lo0, lo1;  // 2 bits: lo0.xy; 4 bits: lo0; 8 bits: both
    uvec2 hi;        // 1 bit: x; 2 bits: both
    vec2 entry0;     // scale and min of the first group
    vec2 entry1;     // of columns 16 to 31
};

// Entry `group` of a row of plane scale.
vec2 load_entry(uint set, uint row, uint group) {
    const uint base = row * params.scale_stride;
    if (SCALE_F16 != 0) {
        if (HAS_MIN != 0) return unpackHalf2x16(packed_scale(set, base + group));
        const uint pair = packed_scale(set, base + (group >> 1));
        return vec2(unpackHalf2x16(pair >> ((group & 1u) * 16u)).x, 0.0);
    }
    if (HAS_MIN != 0)
        return uintBitsToFloat(uvec2(packed_scale(set, base + 2u * group),
                                     packed_scale(set, base + 2u * group + 1u)));
    return vec2(uintBitsToFloat(packed_scale(set, base + group)), 0.0);
}

PackedBlock load_block(uint set, uint row, uint block) {
    PackedBlock b;
    b.lo0 = b.lo1 = uvec4(0);
    b.hi = uvec2(0);
    b.entry0 = b.entry1 = vec2(0);
    if (CLS != TENON_PACKED_CODES) return b;
    if (LO_BITS == 8) {
        b.lo0 = packed_lo(set, row * params.lo_stride + 2u * block);
        b.lo1 = packed_lo(set, row * params.lo_stride + 2u * block + 1u);
    } else if (LO_BITS == 4) {
        b.lo0 = packed_lo(set, row * params.lo_stride + block);
    } else {
        const uint word = row * params.lo_stride * 4u + 2u * block;
        b.lo0.x = packed_lo_word(set, word);
        b.lo0.y = packed_lo_word(set, word + 1u);
    }
    if (HI_BITS == 1) {
        b.hi.x = packed_hi(set, row * params.hi_stride + block);
    } else if (HI_BITS == 2) {
        b.hi.x = packed_hi(set, row * params.hi_stride + 2u * block);
        b.hi.y = packed_hi(set, row * params.hi_stride + 2u * block + 1u);
    }
    if (GROUP == 32) {
        b.entry0 = b.entry1 = load_entry(set, row, block);
    } else {
        b.entry0 = load_entry(set, row, 2u * block);
        b.entry1 = load_entry(set, row, 2u * block + 1u);
    }
    return b;
}

// Code k (0 .. 7) of the eight columns from 8 * eighth on.
uint code_of(PackedBlock b, uint eighth, uint k) {
    uint code;
    if (LO_BITS == 8) {
        const uvec4 half_block = eighth < 2u ? b.lo0 : b.lo1;
        code = (half_block[(eighth & 1u) * 2u + (k >> 2)] >> ((k & 3u) * 8u)) & 255u;
    } else if (LO_BITS == 4) {
        code = (b.lo0[eighth] >> (k * 4u)) & 15u;
    } else {
        code = (b.lo0[eighth >> 1] >> ((eighth & 1u) * 16u + k * 2u)) & 3u;
    }
    if (HI_BITS == 1) code |= ((b.hi.x >> (eighth * 8u + k)) & 1u) << LO_BITS;
    if (HI_BITS == 2)
        code |= ((b.hi[eighth >> 1] >> ((eighth & 1u) * 16u + k * 2u)) & 3u) << LO_BITS;
    return code;
}

// What the scale multiplies.
float unit_of(uint code) {
    if (HAS_LUT == 0) return float(int(code) - ZERO);
    const uint low = (code & 4u) != 0u ? LUT_1 : LUT_0;
    const uint high = (code & 4u) != 0u ? LUT_3 : LUT_2;
    const uint word = (code & 8u) != 0u ? high : low;
    return float(int(word << (24u - (code & 3u) * 8u)) >> 24);
}

float value_of(PackedBlock b, uint eighth, uint k) {
    const vec2 entry = eighth < 2u ? b.entry0 : b.entry1;
    precise float value = entry.x * unit_of(code_of(b, eighth, k));
    if (HAS_MIN != 0) value = value + entry.y;
    return value;
}

// The values of columns 32 * block + 8 * eighth and up. `eighth` (0 .. 3) is best a constant.
void decode_eight(uint set, PackedBlock b, uint row, uint block, uint eighth, out vec4 first,
                  out vec4 second) {
    if (CLS == TENON_PACKED_FLOAT32) {
        const uint at = row * params.lo_stride + block * 8u + eighth * 2u;
        first = uintBitsToFloat(packed_lo(set, at));
        second = uintBitsToFloat(packed_lo(set, at + 1u));
    } else if (CLS == TENON_PACKED_CODES) {
        first = vec4(value_of(b, eighth, 0u), value_of(b, eighth, 1u), value_of(b, eighth, 2u),
                     value_of(b, eighth, 3u));
        second = vec4(value_of(b, eighth, 4u), value_of(b, eighth, 5u), value_of(b, eighth, 6u),
                      value_of(b, eighth, 7u));
    } else {
        const uvec4 words = packed_lo(set, row * params.lo_stride + block * 4u + eighth);
        if (CLS == TENON_PACKED_FLOAT16) {
            first = vec4(unpackHalf2x16(words.x), unpackHalf2x16(words.y));
            second = vec4(unpackHalf2x16(words.z), unpackHalf2x16(words.w));
        } else {
            const uvec4 low = words << 16, high = words & 0xffff0000u;
            first = uintBitsToFloat(uvec4(low.x, high.x, low.y, high.y));
            second = uintBitsToFloat(uvec4(low.z, high.z, low.w, high.w));
        }
    }
}
