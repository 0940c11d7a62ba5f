// Where an element of a KV pool lies. Read by the shaders (kv.glsl) and by the Vulkan backend, which
// sizes the pool by it.
//
// A pool is [layer][block]; a layer is one region, bound alone, that starts at a multiple of 256 bytes.
// A block of one layer is its keys, then its values; of each:
//   rows    [head][place in block]: kv_row_words() words, little endian, the last padded with zeros
//   scales  [head][place in block]: one float each, only in I8: element = code * scale
// All counts are words of 32 bits; each row and each side of a block is a multiple of four.
#ifndef TENON_SHADERS_KV_H
#define TENON_SHADERS_KV_H

#ifdef __cplusplus
#include <cstdint>
namespace tenon::shaders {
using uint = uint32_t;
#define TENON_KV_INLINE constexpr
#else
#define TENON_KV_INLINE
#endif

// Element types of a pool, as the specialization constant KV of rope and attention.
#define TENON_KV_F32 0
#define TENON_KV_F16 1
#define TENON_KV_BF16 2
#define TENON_KV_F8_E4M3 3
#define TENON_KV_F8_E5M2 4
#define TENON_KV_I8 5

// Elements of a word.
TENON_KV_INLINE uint kv_per_word(uint type) {
    return type == TENON_KV_F32 ? 1u : type <= TENON_KV_BF16 ? 2u : 4u;
}

// Words of the key, or value, of one token and head; `dim` is its number of elements.
TENON_KV_INLINE uint kv_row_words(uint type, uint dim) {
    return (dim + 4u * kv_per_word(type) - 1u) / (4u * kv_per_word(type)) * 4u;
}

// Words of the keys, or values, of a block of one layer.
TENON_KV_INLINE uint kv_side_words(uint type, uint heads, uint dim, uint block_tokens) {
    return heads * block_tokens * (kv_row_words(type, dim) + (type == TENON_KV_I8 ? 1u : 0u));
}

// Words of a block of one layer.
TENON_KV_INLINE uint kv_block_words(uint type, uint heads, uint dim_k, uint dim_v,
                                    uint block_tokens) {
    return kv_side_words(type, heads, dim_k, block_tokens) +
           kv_side_words(type, heads, dim_v, block_tokens);
}

#ifdef __cplusplus
}  // namespace tenon::shaders
#endif
#undef TENON_KV_INLINE

#endif
