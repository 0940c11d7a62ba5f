// The KV cache in memory, and writing a token into it.
//
// A block holds block_tokens positions (a multiple of 16) of one layer. In a block, for each KV
// head: K as groups of 16 positions, [position/16][dim_k][16], so that a lane is a position; then V
// row by row, [position][dim_v rounded up to 16], the padding zero; for kI8 then two rows of float
// scales, of keys and of values, [block_tokens] each. What is stored is rounded as
// <tenon/reference/kv.h> says, bit for bit.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

enum class KvType : uint8_t { kF32, kF16, kBf16, kF8E4m3, kF8E5m2, kI8 };

constexpr size_t kKvTypeCount = 6;

// "f32", "f16", "bf16", "f8_e4m3", "f8_e5m2" or "i8".
const char* kv_type_name(KvType type) noexcept;

struct KvGeometry {
    uint32_t kv_heads, dim_k, dim_v, block_tokens;
};

constexpr uint32_t padded_dim(uint32_t dim) { return (dim + 15) / 16 * 16; }
constexpr uint64_t kv_element_bytes(KvType type) {
    return type == KvType::kF32 ? 4 : type == KvType::kF16 || type == KvType::kBf16 ? 2 : 1;
}
// Elements of K of one head; V follows them.
constexpr uint64_t k_head_size(const KvGeometry& g) { return uint64_t{g.block_tokens} * g.dim_k; }
// Elements of K and V of one head; the scales follow them.
constexpr uint64_t kv_head_size(const KvGeometry& g) {
    return k_head_size(g) + uint64_t{g.block_tokens} * padded_dim(g.dim_v);
}
constexpr uint64_t kv_head_bytes(KvType type, const KvGeometry& g) {
    const uint64_t scales = type == KvType::kI8 ? 2 * sizeof(float) * g.block_tokens : 0;
    return kv_head_size(g) * kv_element_bytes(type) + scales;
}
// One block of one layer.
constexpr uint64_t kv_block_bytes(KvType type, const KvGeometry& g) {
    return g.kv_heads * kv_head_bytes(type, g);
}

struct KvWriteArgs {
    const float* k;  // kv_heads * dim_k floats of one token
    const float* v;  // kv_heads * dim_v floats
    void* layer;     // block 0 of this layer
    uint64_t slot;   // block * block_tokens + place in the block
    KvGeometry geometry;
};
// Never allocates. Two tokens of different slots may be written by two threads.
using KvWriteFn = void (*)(const KvWriteArgs&);

struct KvEntry {
    KvType type;
    Isa isa;
    bool deterministic;
    KvWriteFn write;
};
const KvEntry* kv_entries(uint32_t* count) noexcept;
const KvEntry* find_kv(KvType type, Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
