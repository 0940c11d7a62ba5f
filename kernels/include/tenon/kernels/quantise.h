// Activations in 8 bits: 16 elements of a row share the scale max|x| / 127. Blocks hold 32 elements,
// as the weights' do; a scale for each half costs a few instructions and halves the noise of rows
// with outliers, such as the input of a feed-forward's second matmul (DECISIONS).
//
// Tokens lie in tiles of eight, whatever their number: token t is slot t % 8 of tile t / 8, so its
// place never depends on the batch. A tensor of T tokens and K columns is ceil(T/8) * K/32 blocks,
// tile by tile.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

constexpr uint32_t kTileTokens = 8;

struct ActivationBlock {
    int8_t codes[kTileTokens][32];      // round(x / scale), ties to even, -127 .. 127
    float scale[2][kTileTokens];        // of each half; NaN where it holds a NaN
    float sum[kTileTokens];             // over both halves: scale * sum of codes
    int32_t minus_sum[2][kTileTokens];  // of each half: -(sum of codes)
};
static_assert(sizeof(ActivationBlock) == 416);

struct QuantiseArgs {
    const float* x;        // first token, first column to quantise
    uint64_t x_stride;     // floats from token to token
    ActivationBlock* out;  // tile 0, block 0
    uint32_t row_blocks;   // blocks of a whole row: K / 32
    uint32_t token_begin, token_end;
    uint32_t block_begin, block_end;
};
// Never allocates; a token's result depends on nothing but its row.
using QuantiseFn = void (*)(const QuantiseArgs&);

struct QuantiseEntry {
    Isa isa;
    bool deterministic;
    QuantiseFn quantise;
};
const QuantiseEntry* quantise_entries(uint32_t* count) noexcept;
const QuantiseEntry* find_quantise(Isa isa) noexcept;  // never null

// Tiles that hold `tokens` tokens.
constexpr uint32_t tile_count(uint32_t tokens) { return (tokens + kTileTokens - 1) / kTileTokens; }

}  // namespace tenon::kernels
