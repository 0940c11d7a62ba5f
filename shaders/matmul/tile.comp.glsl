// MATMUL and MATMUL_GLU of many tokens on a GPU: a workgroup decodes a tile of the weight, and copies
// one of x, block by block of 32 columns into shared memory, and each invocation multiplies ROWS
// weight rows by TOKENS tokens out of it. Every product is added in the order of the columns, 32 of
// them to a partial sum: the bits are those of `plain`.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "matmul/params.h"

layout(local_size_x_id = TENON_MATMUL_SPEC_LOCAL) in;
layout(constant_id = TENON_MATMUL_SPEC_LOCAL) const uint LOCAL = 64;
layout(constant_id = TENON_MATMUL_SPEC_TEAM) const uint TEAM = 8;
#include "matmul/product.glsl"

const uint DOWN = LOCAL / TEAM;        // invocations side by side along the rows
const uint TILE_ROWS = DOWN * ROWS;    // of each weight
const uint TILE_TOKENS = TEAM * TOKENS;
const uint W_FOURS = SETS * TILE_ROWS / 4;
// One more than is used, so that columns begin in different banks.
const uint X_FOURS = TILE_TOKENS / 4 + 1;
const uint STEP = 4; // columns written out

// [column of the block][row of both weights, or token], in fours.
shared vec4 w_tile[TENON_BLOCK_COLS * W_FOURS];
shared vec4 x_tile[TENON_BLOCK_COLS * X_FOURS];

void fill_w(uint row0, uint block) {
    for (uint i = gl_LocalInvocationID.x; i < SETS * TILE_ROWS * 4; i += LOCAL) {
        const uint place = i % (SETS * TILE_ROWS);
        const uint eighth = i / (SETS * TILE_ROWS);
        const uint set = SETS == 1 ? 0 : place / TILE_ROWS;
        // Rows and tokens beyond the last are read as the last and not written.
        const uint row = min(row0 + place % TILE_ROWS, params.rows - 1);
        const PackedBlock packed = load_block(set, row, block);
        vec4 first, second;
        decode_eight(set, packed, row, block, eighth, first, second);
        [[unroll]] for (uint k = 0; k < 4; ++k) {
            w_tile[(eighth * 8 + k) * W_FOURS + place / 4][place % 4] = first[k];
            w_tile[(eighth * 8 + 4 + k) * W_FOURS + place / 4][place % 4] = second[k];
        }
    }
}

void fill_x(uint token0, uint tokens, uint block) {
    const uint fours = TENON_BLOCK_COLS / 4;
    for (uint i = gl_LocalInvocationID.x; i < TILE_TOKENS * fours; i += LOCAL) {
        const uint place = i / fours;
        const uint column = i % fours * 4;
        const vec4 four =
            load_x(min(token0 + place, tokens - 1), block * TENON_BLOCK_COLS + column);
        [[unroll]] for (uint k = 0; k < 4; ++k)
            x_tile[(column + k) * X_FOURS + place / 4][place % 4] = four[k];
    }
}

void main() {
    const uint down = gl_LocalInvocationID.x % DOWN;
    const uint across = gl_LocalInvocationID.x / DOWN;
    const uint row0 = gl_WorkGroupID.x * TILE_ROWS;
    const uint token0 = gl_WorkGroupID.y * TILE_TOKENS;
    const uint tokens = rows();
    if (token0 >= tokens) return;

    precise float sum[LANES * TOKENS];
    [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] = 0.0;
    const uint blocks = (params.cols + TENON_BLOCK_COLS - 1) / TENON_BLOCK_COLS;
    for (uint block = 0; block < blocks; ++block) {
        fill_w(row0, block);
        fill_x(token0, tokens, block);
        barrier();
        precise float part[LANES * TOKENS];
        [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) part[i] = 0.0;
        [[dont_unroll]] for (uint begin = 0; begin < TENON_BLOCK_COLS; begin += STEP) {
            [[unroll]] for (uint k = 0; k < STEP; ++k) {
                vec4 w[LANES / 4], x[TOKENS / 4];
                [[unroll]] for (uint j = 0; j < LANES / 4; ++j)
                    w[j] = w_tile[(begin + k) * W_FOURS + j * 4 / ROWS * (TILE_ROWS / 4) +
                                  down * (ROWS / 4) + j % (ROWS / 4)];
                [[unroll]] for (uint t = 0; t < TOKENS / 4; ++t)
                    x[t] = x_tile[(begin + k) * X_FOURS + across * (TOKENS / 4) + t];
                [[unroll]] for (uint j = 0; j < LANES; ++j) {
                    [[unroll]] for (uint t = 0; t < TOKENS; ++t)
                        part[j * TOKENS + t] =
                            fma(w[j / 4][j % 4], x[t / 4][t % 4], part[j * TOKENS + t]);
                }
            }
        }
        [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] += part[i];
        barrier();
    }

    [[unroll]] for (uint j = 0; j < ROWS; ++j) {
        const uint row = row0 + down * ROWS + j;
        if (row >= params.rows) break;
        [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
            const uint token = token0 + across * TOKENS + t;
            if (token >= tokens) break;
            finish(row, token, sum[j * TOKENS + t], sum[(LANES - ROWS + j) * TOKENS + t]);
        }
    }
}
