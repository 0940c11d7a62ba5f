// Elements of the KV pool; its layout is kv.h. Included after a specialization constant
// `const uint KV`, a TENON_KV_* type.
#ifndef TENON_SHADERS_KV_GLSL
#define TENON_SHADERS_KV_GLSL

#include "include/half.glsl"
#include "include/kv.h"

// One element as the low bits of a word. I8: of `x` over the scale of its row.
uint kv_code(float x) {
    switch (KV) {
        case TENON_KV_F32: return floatBitsToUint(x);
        case TENON_KV_F16: return to_f16(x);
        case TENON_KV_BF16: return to_bf16(x);
        case TENON_KV_F8_E4M3: return to_f8_e4m3(x);
        case TENON_KV_F8_E5M2: return to_f8_e5m2(x);
        default: return uint(int(clamp(roundEven(x), -127.0, 127.0))) & 255u;
    }
}

// Four words hold 16 / bytes elements; fours of them, by number.
vec4 kv_four_f16(uint low, uint high) {
    return vec4(unpackHalf2x16(low), unpackHalf2x16(high));
}
vec4 kv_four_bf16(uint low, uint high) {
    return vec4(uintBitsToFloat(low << 16), uintBitsToFloat(low & 0xffff0000u),
                uintBitsToFloat(high << 16), uintBitsToFloat(high & 0xffff0000u));
}
vec4 kv_four_f8_e4m3(uint word) {
    return vec4(from_f8_e4m3(word & 255u), from_f8_e4m3((word >> 8) & 255u),
                from_f8_e4m3((word >> 16) & 255u), from_f8_e4m3(word >> 24));
}
// E5M2 is the upper half of binary16.
vec4 kv_four_f8_e5m2(uint word) {
    const vec2 even = unpackHalf2x16((word << 8) & 0xff00ff00u);
    const vec2 odd = unpackHalf2x16(word & 0xff00ff00u);
    return vec4(even.x, odd.x, even.y, odd.y);
}
vec4 kv_four_i8(uint word) {
    const int bits = int(word);
    return vec4(bitfieldExtract(bits, 0, 8), bitfieldExtract(bits, 8, 8), bitfieldExtract(bits, 16, 8),
                bitfieldExtract(bits, 24, 8));
}

// Fours of elements in four words.
uint kv_fours() {
    return kv_per_word(KV);
}

// The four elements 4 * part .. 4 * part + 3 of four words, part < kv_fours(). I8: codes without scale.
vec4 kv_decode(uvec4 words, uint part) {
    switch (KV) {
        case TENON_KV_F32: return uintBitsToFloat(words);
        case TENON_KV_F16: return part == 0u ? kv_four_f16(words.x, words.y) : kv_four_f16(words.z, words.w);
        case TENON_KV_BF16: return part == 0u ? kv_four_bf16(words.x, words.y) : kv_four_bf16(words.z, words.w);
        case TENON_KV_F8_E4M3: return kv_four_f8_e4m3(words[part]);
        case TENON_KV_F8_E5M2: return kv_four_f8_e5m2(words[part]);
        default: return kv_four_i8(words[part]);
    }
}

#endif
