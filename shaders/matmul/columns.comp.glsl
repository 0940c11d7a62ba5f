// MATMUL and MATMUL_GLU of few tokens on a GPU: TEAM neighbours share ROWS weight rows and take a
// block of 32 columns each, so that neighbours read neighbouring memory; x goes through shared
// memory, TEAM blocks at a time. The products of a block are one partial sum, and one invocation
// adds the partial sums of an output in the order of the blocks: the bits are those of `plain`.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "matmul/params.h"

layout(local_size_x_id = TENON_MATMUL_SPEC_LOCAL) in;
layout(constant_id = TENON_MATMUL_SPEC_LOCAL) const uint LOCAL = 64;
layout(constant_id = TENON_MATMUL_SPEC_TEAM) const uint TEAM = 8;
#include "matmul/product.glsl"

const uint TEAMS = LOCAL / TEAM;
const uint SUMS = SETS * ROWS * TOKENS;    // of a team
const uint OWN = (SUMS + TEAM - 1) / TEAM; // of them, an invocation's
const uint FOURS = TENON_BLOCK_COLS / 4;

// A place more than is used, so that what neighbours read at once lies in different banks.
shared vec4 x_part[TOKENS * TEAM * (FOURS + 1)];
shared float parts[TEAMS * SUMS * (TEAM + 1)];

#define EIGHT_OF(t, first, second)                                        \
    {                                                                     \
        const uint from = ((t)*TEAM + lane) * (FOURS + 1) + eighth * 2;   \
        first = x_part[from];                                             \
        second = x_part[from + 1];                                        \
    }

void main() {
    const uint team = gl_LocalInvocationID.x / TEAM;
    const uint lane = gl_LocalInvocationID.x % TEAM;
    const uint row0 = (gl_WorkGroupID.x * TEAMS + team) * ROWS;
    const uint token0 = gl_WorkGroupID.y * TOKENS;
    const uint tokens = rows();
    if (token0 >= tokens) return;

    precise float sum[OWN];
    [[unroll]] for (uint o = 0; o < OWN; ++o) sum[o] = 0.0;
    const uint blocks = (params.cols + TENON_BLOCK_COLS - 1) / TENON_BLOCK_COLS;
    for (uint first_block = 0; first_block < blocks; first_block += TEAM) {
        for (uint i = gl_LocalInvocationID.x; i < TOKENS * TEAM * FOURS; i += LOCAL) {
            const uint column = first_block * TENON_BLOCK_COLS + i % (TEAM * FOURS) * 4;
            if (column < params.cols)
                x_part[i / FOURS * (FOURS + 1) + i % FOURS] =
                    load_x(min(token0 + i / (TEAM * FOURS), tokens - 1), column);
        }
        barrier();
        const uint block = first_block + lane;
        if (block < blocks) {
            PackedBlock w[LANES];
            // Rows and tokens beyond the last are read as the last and not written.
            [[unroll]] for (uint j = 0; j < LANES; ++j)
                w[j] = load_block(j / ROWS, min(row0 + j % ROWS, params.rows - 1), block);
            precise float part[LANES * TOKENS];
            [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) part[i] = 0.0;
            // Written out the text of a wide tile is slow to compile.
            if (TOKENS > 4) {
                [[dont_unroll]] for (uint eighth = 0; eighth < 4; ++eighth) {
#include "matmul/eighth.glsl"
                }
            } else {
                [[unroll]] for (uint eighth = 0; eighth < 4; ++eighth) {
#include "matmul/eighth.glsl"
                }
            }
            [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i)
                parts[(team * SUMS + i) * (TEAM + 1) + lane] = part[i];
        }
        barrier();
        const uint count = min(TEAM, blocks - first_block);
        [[unroll]] for (uint o = 0; o < OWN; ++o) {
            const uint mine = o * TEAM + lane;
            if (mine < SUMS)
                for (uint b = 0; b < count; ++b)
                    sum[o] += parts[(team * SUMS + mine) * (TEAM + 1) + b];
        }
    }

    barrier();
    [[unroll]] for (uint o = 0; o < OWN; ++o)
        if (o * TEAM + lane < SUMS) parts[team * SUMS + o * TEAM + lane] = sum[o];
    barrier();
    for (uint i = lane; i < ROWS * TOKENS; i += TEAM) {
        const uint row = row0 + i % ROWS;
        const uint token = token0 + i / ROWS;
        const uint at = team * SUMS + i % ROWS * TOKENS + i / ROWS;
        if (row < params.rows && token < tokens)
            finish(row, token, parts[at], parts[at + (SETS - 1) * ROWS * TOKENS]);
    }
}
