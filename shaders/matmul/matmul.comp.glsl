// MATMUL and MATMUL_GLU, a register tile of ROWS weight rows x TOKENS tokens in each invocation: no
// shared memory, no barrier. Every product is added in the order of the columns, 32 of them to a
// partial sum, so an output has the same bits whatever the tile is.
//
// SHUFFLE: each of eight neighbours loads an eighth of what all of them read of x, and they pass it
// on. On a driver that runs on the processor, where every lane's load costs, decode takes four
// fifths and 32 tokens a third of the time. LOCAL is then a multiple of 8.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHUFFLE
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#include "matmul/params.h"

layout(local_size_x_id = TENON_MATMUL_SPEC_LOCAL) in;
#include "matmul/product.glsl"

// What an invocation loads of a token's 32 columns of a block before eight_of gives them out.
vec4 load_share(uint token, uint block) {
#ifdef SHUFFLE
    return load_x(token, block * TENON_BLOCK_COLS + (gl_SubgroupInvocationID & 7u) * 4);
#else
    return vec4(0);
#endif
}

// Columns 8 * eighth and up of the block.
void eight_of(vec4 share, uint token, uint block, uint eighth, out vec4 first, out vec4 second) {
#ifdef SHUFFLE
    if (gl_SubgroupSize >= 8) {
        first = subgroupShuffle(share, eighth * 2);
        second = subgroupShuffle(share, eighth * 2 + 1);
        return;
    }
#endif
    first = load_x(token, block * TENON_BLOCK_COLS + eighth * 8);
    second = load_x(token, block * TENON_BLOCK_COLS + eighth * 8 + 4);
}

#define EIGHT_OF(t, first, second) \
    eight_of(share[t], min(token0 + (t), tokens - 1), block, eighth, first, second)

void main() {
    const uint row0 = gl_GlobalInvocationID.x * ROWS;
    const uint token0 = gl_GlobalInvocationID.y * TOKENS;
    const uint tokens = rows();
    if (token0 >= tokens) return;
#ifndef SHUFFLE
    if (row0 >= params.rows) return; // with SHUFFLE a neighbour needs its x
#endif

    precise float sum[LANES * TOKENS];
    [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] = 0.0;

    const uint blocks = (params.cols + TENON_BLOCK_COLS - 1) / TENON_BLOCK_COLS;
    for (uint block = 0; block < blocks; ++block) {
        PackedBlock w[LANES];
        // Rows and tokens beyond the last are read as the last and not written.
        [[unroll]] for (uint j = 0; j < LANES; ++j)
            w[j] = load_block(j / ROWS, min(row0 + j % ROWS, params.rows - 1), block);
        precise float part[LANES * TOKENS];
        [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) part[i] = 0.0;
        vec4 share[TOKENS];
        [[unroll]] for (uint t = 0; t < TOKENS; ++t)
            share[t] = load_share(min(token0 + t, tokens - 1), block);
        // Written out the text of a wide tile is slow to compile, and no faster.
        if (TOKENS > 4) {
            [[dont_unroll]] for (uint eighth = 0; eighth < 4; ++eighth) {
#include "matmul/eighth.glsl"
            }
        } else {
            [[unroll]] for (uint eighth = 0; eighth < 4; ++eighth) {
#include "matmul/eighth.glsl"
            }
        }
        [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] += part[i];
    }

    [[unroll]] for (uint j = 0; j < ROWS; ++j) {
        const uint row = row0 + j;
        if (row >= params.rows) break;
        [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
            if (token0 + t >= tokens) break;
            finish(row, token0 + t, sum[j * TOKENS + t], sum[(LANES - ROWS + j) * TOKENS + t]);
        }
    }
}
