// Rotary position embedding: out = x * cos + partner(x) * sin over the first rope_dim elements of a
// head, the rest copied. The partner of element i is its pair (interleaved: i ^ 1; halves: the
// element rope_dim/2 away). A table row holds cos[rope_dim] then the signed sin[rope_dim], built
// once for all heads and layers of a step. Never allocates.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

enum class RopeStyle : uint8_t { kInterleaved, kHalves };

// Rows [begin, end) of table[tokens][2 * rope_dim]: angle = float(position) * inv_freq[pair], cos
// and sin scaled by mscale.
void fill_rope_table(const int32_t* positions, const float* inv_freq, uint32_t rope_dim,
                     RopeStyle style, float mscale, uint32_t begin, uint32_t end,
                     float* table) noexcept;

struct RopeArgs {
    const float* x;      // heads * head_dim floats of one token
    float* out;          // the same shape; may be x
    const float* table;  // row of this token
    uint32_t heads, head_dim, rope_dim;
    RopeStyle style;
};
using RopeFn = void (*)(const RopeArgs&);

struct RopeEntry {
    Isa isa;
    bool deterministic;
    RopeFn rope;
};
const RopeEntry* rope_entries(uint32_t* count) noexcept;
const RopeEntry* find_rope(Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
