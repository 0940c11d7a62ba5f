// Causal attention of one sequence over its paged KV cache, decoded on load, summed in float.
//
// Token i of the sequence's chunk sits at position first_position + i and sees positions p with
// p <= its own and, with window > 0, p > its own - window; all of them were written before.
// Online softmax in tiles of 64 absolute positions: a token's result is bit-equal whatever the
// chunking, the other tokens, the split over threads or the block ids. The query heads of one KV
// head share each pass over K and V. Never allocates.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"
#include "kernels/include/tenon/kernels/kv.h"

namespace tenon::kernels {

constexpr uint32_t kHeadDimMax = 512;  // larger heads are refused by the backend

struct AttentionArgs {
    const float* q;              // token 0 of the chunk, head 0
    float* out;                  // token 0 of the chunk, head 0; aliases nothing
    uint64_t q_stride;           // floats from token to token
    uint64_t out_stride;         // floats from token to token
    const void* layer;           // block 0 of this layer
    const int32_t* block_table;  // block of position p: block_table[p / block_tokens]
    const float* sinks;          // [q_heads] or null: one more score per head, without a value
    KvGeometry geometry;
    uint32_t q_heads;
    uint32_t first_position;  // of token 0
    uint32_t token_begin, token_end;
    uint32_t head_begin, head_end;  // query heads, all of one KV head
    uint32_t window;                // 0: unlimited
    float scale;
    float softcap;  // 0: none
};
using AttentionFn = void (*)(const AttentionArgs&);

struct AttentionEntry {
    KvType type;
    Isa isa;
    bool deterministic;
    AttentionFn attend;
};
const AttentionEntry* attention_entries(uint32_t* count) noexcept;
const AttentionEntry* find_attention(KvType type, Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
