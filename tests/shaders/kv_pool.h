// One layer of a KV pool as the shaders store it, beside the reference's.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include <tenon/reference/kv.h>

#include "shaders/include/kv.h"

namespace tenon::shaders {

inline uint32_t kv_type(uint32_t dtype) {
    switch (dtype) {
        case TENON_F32: return TENON_KV_F32;
        case TENON_F16: return TENON_KV_F16;
        case TENON_BF16: return TENON_KV_BF16;
        case TENON_F8_E4M3: return TENON_KV_F8_E4M3;
        case TENON_F8_E5M2: return TENON_KV_F8_E5M2;
        default: return TENON_KV_I8;
    }
}

constexpr uint32_t kKvDtypes[] = {TENON_F32,     TENON_F16,     TENON_BF16,
                                  TENON_F8_E4M3, TENON_F8_E5M2, TENON_I8};

// A binary float of 1 sign bit, `exponents` and `mantissas` bits; the types that a pool may hold.
inline float small_float(uint32_t code, int exponents, int mantissas, bool has_infinity) {
    const uint32_t mantissa = code & ((1u << mantissas) - 1);
    const uint32_t exponent = (code >> mantissas) & ((1u << exponents) - 1);
    const bool negative = (code >> (mantissas + exponents)) != 0;
    const uint32_t top = (1u << exponents) - 1;
    const int bias = (1 << (exponents - 1)) - 1;
    float number = 0;
    if (exponent == top && has_infinity) {
        number = mantissa == 0 ? std::numeric_limits<float>::infinity()
                               : std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == top && !has_infinity && mantissa == (1u << mantissas) - 1) {
        number = std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == 0) {
        number = std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissas);
    } else {
        number = std::ldexp(static_cast<float>(mantissa | (1u << mantissas)),
                            static_cast<int>(exponent) - bias - mantissas);
    }
    return negative ? -number : number;
}

struct KvPool {
    uint32_t dtype, heads, dim_k, dim_v, block_tokens, n_blocks;
    std::vector<uint32_t> words;  // by shaders/include/kv.h
    std::vector<float> floats;    // by the reference

    KvPool(uint32_t type, uint32_t n_heads, uint32_t key, uint32_t value, uint32_t tokens,
           uint32_t blocks)
        : dtype(type),
          heads(n_heads),
          dim_k(key),
          dim_v(value),
          block_tokens(tokens),
          n_blocks(blocks) {
        words.assign(size_t{blocks} * kv_block_words(kv_type(type), heads, dim_k, dim_v, tokens),
                     0);
        floats.assign(static_cast<size_t>(reference().elements()), 0.0f);
    }
    reference::ReferenceKv reference() {
        return {floats.data(), 1, heads, dim_k, dim_v, block_tokens, n_blocks, dtype};
    }
    // Word of the pool where the row begins, and the word of its scale.
    size_t row_at(int64_t slot, uint32_t head, bool value, size_t* scale_at) const {
        const uint32_t type = kv_type(dtype);
        const auto place = static_cast<size_t>(head * block_tokens + slot % block_tokens);
        const size_t row = kv_row_words(type, value ? dim_v : dim_k);
        const size_t side = static_cast<size_t>(slot / block_tokens) *
                                kv_block_words(type, heads, dim_k, dim_v, block_tokens) +
                            (value ? kv_side_words(type, heads, dim_k, block_tokens) : 0);
        *scale_at = side + size_t{heads} * block_tokens * row + place;
        return side + place * row;
    }
    // What the words hold.
    float element(int64_t slot, uint32_t head, bool value, uint32_t c) const {
        size_t scale_at = 0;
        const size_t row = row_at(slot, head, value, &scale_at);
        const uint32_t per_word = kv_per_word(kv_type(dtype));
        const uint32_t word = words[row + c / per_word];
        const uint32_t bits = 32 / per_word;
        const uint32_t code =
            bits == 32 ? word : (word >> (c % per_word * bits)) & ((1u << bits) - 1);
        switch (dtype) {
            case TENON_F32: return as_float(code);
            case TENON_F16: return small_float(code, 5, 10, true);
            case TENON_BF16: return as_float(code << 16);
            case TENON_F8_E4M3: return small_float(code, 4, 3, false);
            case TENON_F8_E5M2: return small_float(code, 5, 2, true);
            default:
                return static_cast<float>(static_cast<int8_t>(code)) * as_float(words[scale_at]);
        }
    }
    // Random finite elements about as large as one, in words and floats.
    void fill(uint32_t seed) {
        std::mt19937 engine(seed);
        std::normal_distribution<float> normal;
        const uint32_t per_word = kv_per_word(kv_type(dtype));
        const auto code_of = [&] {
            const uint32_t bits = engine();
            switch (dtype) {
                case TENON_F16: return (bits & 0x83ffu) | ((11 + bits / 65536 % 5) << 10);
                case TENON_BF16: return (bits & 0x807fu) | ((123 + bits / 65536 % 5) << 7);
                case TENON_F8_E4M3: return (bits & 0x87u) | ((3 + bits / 65536 % 5) << 3);
                case TENON_F8_E5M2: return (bits & 0x83u) | ((11 + bits / 65536 % 5) << 2);
                case TENON_I8: return bits % 255 == 128 ? 0 : bits & 0xffu;
                default: break;
            }
            const float x = normal(engine);
            uint32_t code = 0;
            std::memcpy(&code, &x, sizeof code);
            return code;
        };
        for (int64_t slot = 0; slot < int64_t{n_blocks} * block_tokens; ++slot) {
            for (uint32_t h = 0; h < heads; ++h) {
                for (const bool value : {false, true}) {
                    size_t scale_at = 0;
                    const size_t row = row_at(slot, h, value, &scale_at);
                    const uint32_t dim = value ? dim_v : dim_k;
                    for (uint32_t c = 0; c < dim; ++c) {
                        const uint32_t shift = c % per_word * (32 / per_word);
                        words[row + c / per_word] |= code_of() << shift;
                    }
                    if (dtype == TENON_I8) {
                        const float scale = 0.01f + 0.0001f * static_cast<float>(engine() % 100);
                        std::memcpy(&words[scale_at], &scale, sizeof scale);
                    }
                    set_floats(slot, h, value);
                }
            }
        }
    }
    // What the words of a row hold, as the reference holds it.
    void set_floats(int64_t slot, uint32_t head, bool value) {
        const reference::ReferenceKv kv = reference();
        float* to = value ? kv.value(0, slot, head) : kv.key(0, slot, head);
        for (uint32_t c = 0; c < (value ? dim_v : dim_k); ++c)
            to[c] = element(slot, head, value, c);
    }
    static float as_float(uint32_t bits) {
        float number = 0;
        std::memcpy(&number, &bits, sizeof number);
        return number;
    }
};

}  // namespace tenon::shaders
