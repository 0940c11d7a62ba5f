// y[t][n] = alpha * (sum over k of x[t][k] * w[n][k]) + bias[n] + residual[t][n], w packed (pack.h).
//
// fast: x in 8 bits (quantise.h). Per half block (16 columns) the product of codes is an exact
// integer; halves are added in order with one fused multiply-add each, then the block's min (where
// halves have mins of their own, the first half's, then the second's).
// precise: x in float, weights decoded to float. Panels of 128 columns; a panel's columns are added in
// order from zero, one fused multiply-add each, then the panel to the total.
// rounded: x rounded to bfloat16, products of bfloat16 pairs; panels and their order as in precise.
// All orders are fixed per (row, token): a result is bit-equal for any number of tokens, rows or
// threads. Never allocates, throws or spawns threads; the backend splits groups and tokens.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"
#include "kernels/include/tenon/kernels/pack.h"
#include "kernels/include/tenon/kernels/quantise.h"

namespace tenon::kernels {

struct MatmulArgs {
    const void* weights;                 // packed, group 0
    PackedLayout layout;                 // of the weights; its format is the entry's
    uint32_t rows, cols;                 // N and K
    const ActivationBlock* activations;  // fast: tile 0
    const float* x;                      // precise: token 0
    uint64_t x_stride;                   // floats
    float* y;                            // token 0, row 0; may be residual, else aliases nothing
    uint64_t y_stride;                   // floats
    const float* bias;                   // [N] or null
    const float* residual;               // or null
    uint64_t residual_stride;            // floats
    float alpha;
    uint32_t group_begin, group_end;
    uint32_t token_begin, token_end;  // begin: a multiple of kTileTokens
};
using MatmulFn = void (*)(const MatmulArgs&);

struct MatmulEntry {
    PackedFormat format;
    Isa isa;
    bool deterministic;
    MatmulFn fast;  // null for float formats
    MatmulFn precise;
    MatmulFn rounded;  // or null: reads x as precise does; what fast has where `fast` is null
};

// Every implementation that this processor has the extensions for, fastest first, the scalar one of
// each format last; `count` is set.
const MatmulEntry* matmul_entries(uint32_t* count) noexcept;

// First entry of `format` that runs at level `isa`; never null.
const MatmulEntry* find_matmul(PackedFormat format, Isa isa) noexcept;

}  // namespace tenon::kernels
