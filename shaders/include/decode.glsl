// The only decoder of packed weights (backends/vulkan/pack.h says how they lie). Included after the
// includer declared, for weight number `set` of a dispatch:
//   uvec4 packed_lo(uint set, uint index)  16 bytes of plane lo
//   uint packed_lo_word(uint set, uint index), packed_hi(set, index), packed_scale(set, index)
// and after params, which hold cols, lo_stride (16-byte units), hi_stride and scale_stride (words).
// Sequence: PackedBlock b = load_block(set, row, block); then decode_eight for each 8 of its 32
// columns. Values equal tenon/reference/dequant.h bit for bit where a device rounds multiplies and
// adds correctly and keeps subnormals.
#include "include/decode.h"

layout(constant_id = TENON_SPEC_CLS) const uint CLS = TENON_PACKED_CODES;
layout(constant_id = TENON_SPEC_LO_BITS) const uint LO_BITS = 4;
layout(constant_id = TENON_SPEC_HI_BITS) const uint HI_BITS = 0;
layout(constant_id = TENON_SPEC_GROUP) const uint GROUP = 32;
layout(constant_id = TENON_SPEC_SCALE_MODE) const uint SCALE_MODE = TENON_SCALE_F16;
layout(constant_id = TENON_SPEC_HAS_MIN) const uint HAS_MIN = 1;
layout(constant_id = TENON_SPEC_ZERO) const int ZERO = 0;
layout(constant_id = TENON_SPEC_HAS_LUT) const uint HAS_LUT = 0;
layout(constant_id = TENON_SPEC_LUT_0) const uint LUT_0 = 0;
layout(constant_id = TENON_SPEC_LUT_1) const uint LUT_1 = 0;
layout(constant_id = TENON_SPEC_LUT_2) const uint LUT_2 = 0;
layout(constant_id = TENON_SPEC_LUT_3) const uint LUT_3 = 0;
layout(constant_id = TENON_SPEC_OUTER) const uint OUTER = 0;
layout(constant_id = TENON_SPEC_SCALE_BITS) const uint SCALE_BITS = 0;
layout(constant_id = TENON_SPEC_SCALE_ZERO) const int SCALE_ZERO = 0;

const uint GROUP_BLOCKS = GROUP < 32u ? 1u : GROUP / 32u; // blocks under one scale
const uint OUTER_BLOCKS = OUTER < 32u ? 1u : OUTER / 32u;
const uint CODED_BITS = HAS_MIN != 0u ? 2u * SCALE_BITS : SCALE_BITS; // of a scale's code and a min's

// Codes of 32 columns with their scales, still packed. Empty for the classes of floats.
struct PackedBlock {
    uvec4 lo0, lo1;  // 2 bits: lo0.xy; 4 bits: lo0; 8 bits: both
    uvec2 hi;        // 1 bit: x; 2 bits: both
    vec2 entry0;     // scale and min of columns 0 to 15
    vec2 entry1;     // of columns 16 to 31
};

// Scale and min number `index` of those that begin at word `base` of plane scale.
vec2 load_scale(uint set, uint base, uint index) {
    if (SCALE_MODE == TENON_SCALE_F16) {
        if (HAS_MIN != 0) return unpackHalf2x16(packed_scale(set, base + index));
        const uint pair = packed_scale(set, base + (index >> 1));
        return vec2(unpackHalf2x16(pair >> ((index & 1u) * 16u)).x, 0.0);
    }
    if (HAS_MIN != 0)
        return uintBitsToFloat(uvec2(packed_scale(set, base + 2u * index),
                                     packed_scale(set, base + 2u * index + 1u)));
    return vec2(uintBitsToFloat(packed_scale(set, base + index)), 0.0);
}

// Words of the outer scales of a row, in front of the codes.
uint outer_words() {
    if (OUTER == 0) return 0u;
    const uint parts = (params.cols + OUTER - 1u) / OUTER * (HAS_MIN != 0 ? 2u : 1u);
    return SCALE_MODE == TENON_SCALE_F16 ? (parts + 1u) >> 1 : parts;
}

// 2^exponent for -149 .. 128, the last of which is infinity.
float power_of_two(int exponent) {
    const uint subnormal = 0x00400000u >> uint(max(-127 - exponent, 0));
    return uintBitsToFloat(exponent < -126 ? subnormal : uint(exponent + 127) << 23);
}

// The scale and min that the lowest CODED_BITS bits of `codes` give.
vec2 coded_scale(uint codes, vec2 outer) {
    const uint mask = (1u << SCALE_BITS) - 1u;
    const int code = int(codes & mask) - SCALE_ZERO;
    if (SCALE_MODE == TENON_SCALE_E8M0) return vec2(power_of_two(code), 0.0);
    precise vec2 entry = vec2(outer.x * float(code), 0.0);
    if (HAS_MIN != 0) entry.y = outer.y * float((codes >> SCALE_BITS) & mask);
    return entry;
}

// Those of the halves of a block. Codes of neighbouring groups of 16 share a word.
void load_scales(uint set, uint row, uint block, out vec2 first, out vec2 second) {
    const uint base = row * params.scale_stride;
    const uint group = GROUP == 16 ? 2u * block : GROUP == 32 ? block : block / GROUP_BLOCKS;
    if (SCALE_BITS == 0) {
        first = second = load_scale(set, base, group);
        if (GROUP == 16) second = load_scale(set, base, group + 1u);
        return;
    }
    const vec2 outer = OUTER == 0 ? vec2(0) : load_scale(set, base, block / OUTER_BLOCKS);
    const uint bit = group * CODED_BITS;
    const uint codes = packed_scale(set, base + outer_words() + (bit >> 5)) >> (bit & 31u);
    first = second = coded_scale(codes, outer);
    if (GROUP == 16) second = coded_scale(codes >> CODED_BITS, outer);
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
    load_scales(set, row, block, b.entry0, b.entry1);
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
