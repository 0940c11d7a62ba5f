// MATMUL and MATMUL_GLU, a register tile of ROWS weight rows x TOKENS tokens in each invocation: no
// shared memory, no barrier. Every product is added in the order of the columns, 32 of them to a
// partial sum, so an output has the same bits whatever the tile is.
//
// SHUFFLE: each of eight neighbours loads an eighth of what all of them read of x, and they pass it
// on. On a driver that runs on the processor, where every lane's load costs, decode takes four
// fifths and 32 tokens a third of the time. LOCAL is then a multiple of 8.
//
// SPLIT: a subgroup works on ROWS rows, its invocations on one block of 32 columns after the other,
// so that neighbours read neighbouring memory; their sums are added last. The bits are those of any
// other number of tokens, not those of the other variants. LOCAL is the subgroup's size.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#ifdef SHUFFLE
#extension GL_KHR_shader_subgroup_shuffle : require
#endif
#ifdef SPLIT
#extension GL_KHR_shader_subgroup_arithmetic : require
#endif
#include "matmul/params.h"

layout(local_size_x_id = TENON_MATMUL_SPEC_LOCAL) in;
layout(constant_id = TENON_MATMUL_SPEC_ROWS) const uint ROWS = 4;
layout(constant_id = TENON_MATMUL_SPEC_TOKENS) const uint TOKENS = 1;
layout(constant_id = TENON_MATMUL_SPEC_OP) const uint OP = TENON_MATMUL_OP_PLAIN;
layout(constant_id = TENON_MATMUL_SPEC_ACTIVATION) const uint ACTIVATION = 0;
layout(constant_id = TENON_MATMUL_SPEC_RAGGED) const uint RAGGED = 0;
const uint LANES = OP == TENON_MATMUL_OP_GLU ? ROWS * 2 : ROWS; // gate rows, then up rows

layout(push_constant) uniform Push { MatmulParams params; };
#define STEP_READS_ONLY
#include "include/step.glsl"
#include "include/math.glsl"

layout(std430, set = 0, binding = TENON_MATMUL_X) readonly buffer XWide { vec4 x_wide[]; };
layout(std430, set = 0, binding = TENON_MATMUL_X) readonly buffer XNarrow { float x_narrow[]; };
layout(std430, set = 0, binding = TENON_MATMUL_Y) buffer Y { float y[]; };
layout(std430, set = 0, binding = TENON_MATMUL_BIAS_AT) readonly buffer Bias { float bias[]; };
layout(std430, set = 0, binding = TENON_MATMUL_RESIDUAL_AT) readonly buffer Residual {
    float residual[];
};
layout(std430, set = 0, binding = TENON_MATMUL_LO) readonly buffer Lo { uvec4 lo[]; };
layout(std430, set = 0, binding = TENON_MATMUL_LO) readonly buffer LoWords { uint lo_words[]; };
layout(std430, set = 0, binding = TENON_MATMUL_HI) readonly buffer Hi { uint hi[]; };
layout(std430, set = 0, binding = TENON_MATMUL_SCALE) readonly buffer Scale { uint scale[]; };
layout(std430, set = 0, binding = TENON_MATMUL_UP_LO) readonly buffer UpLo { uvec4 up_lo[]; };
layout(std430, set = 0, binding = TENON_MATMUL_UP_LO) readonly buffer UpLoWords {
    uint up_lo_words[];
};
layout(std430, set = 0, binding = TENON_MATMUL_UP_HI) readonly buffer UpHi { uint up_hi[]; };
layout(std430, set = 0, binding = TENON_MATMUL_UP_SCALE) readonly buffer UpScale {
    uint up_scale[];
};

uvec4 packed_lo(uint set, uint index) { return set == 0u ? lo[index] : up_lo[index]; }
uint packed_lo_word(uint set, uint index) {
    return set == 0u ? lo_words[index] : up_lo_words[index];
}
uint packed_hi(uint set, uint index) { return set == 0u ? hi[index] : up_hi[index]; }
uint packed_scale(uint set, uint index) { return set == 0u ? scale[index] : up_scale[index]; }
#include "include/decode.glsl"

// Columns column .. column + 3 of a token; zeros behind the last.
vec4 load_x(uint token, uint column) {
    if (RAGGED == 0) return x_wide[(token * params.x_stride + column) >> 2];
    vec4 value = vec4(0);
    [[unroll]] for (uint k = 0; k < 4; ++k)
        if (column + k < params.cols) value[k] = x_narrow[token * params.x_stride + column + k];
    return value;
}

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

void main() {
#ifdef SPLIT
    const uint row0 = (gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID) * ROWS;
    const uint first_block = gl_SubgroupInvocationID, block_step = gl_SubgroupSize;
#else
    const uint row0 = gl_GlobalInvocationID.x * ROWS;
    const uint first_block = 0, block_step = 1;
#endif
    const uint token0 = gl_GlobalInvocationID.y * TOKENS;
    const uint tokens = rows();
    if (token0 >= tokens) return;
#ifndef SHUFFLE
    if (row0 >= params.rows) return; // with SHUFFLE a neighbour needs its x
#endif

    precise float sum[LANES * TOKENS];
    [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] = 0.0;

    const uint blocks = (params.cols + TENON_BLOCK_COLS - 1) / TENON_BLOCK_COLS;
    for (uint block = first_block; block < blocks; block += block_step) {
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

#ifdef SPLIT
    [[unroll]] for (uint i = 0; i < LANES * TOKENS; ++i) sum[i] = subgroupAdd(sum[i]);
    if (!subgroupElect()) return;
#endif
    [[unroll]] for (uint j = 0; j < ROWS; ++j) {
        const uint row = row0 + j;
        if (row >= params.rows) break;
        [[unroll]] for (uint t = 0; t < TOKENS; ++t) {
            if (token0 + t >= tokens) break;
            const uint at = (token0 + t) * params.y_stride + params.row_begin + row;
            precise float value = sum[j * TOKENS + t];
            if (OP == TENON_MATMUL_OP_PLAIN) {
                value *= params.alpha;
                if ((params.flags & TENON_MATMUL_BIAS) != 0u) value += bias[params.row_begin + row];
                if ((params.flags & TENON_MATMUL_RESIDUAL) != 0u) value += residual[at];
            } else if (OP == TENON_MATMUL_OP_GLU) {
                value = activate(value, ACTIVATION) * sum[(LANES - ROWS + j) * TOKENS + t];
            } else {
                value *= activate(residual[at], ACTIVATION);
            }
            y[at] = value;
        }
    }
}
