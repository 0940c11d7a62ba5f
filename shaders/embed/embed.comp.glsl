// EMBED: one invocation decodes 32 columns of one token's row.
#version 450
#extension GL_GOOGLE_include_directive : require
#extension GL_EXT_control_flow_attributes : require
#include "embed/params.h"

layout(local_size_x_id = TENON_EMBED_SPEC_LOCAL) in;

layout(push_constant) uniform Push { EmbedParams params; };
#include "include/step.glsl"

layout(std430, set = 0, binding = TENON_EMBED_IDS) readonly buffer Ids { uint ids[]; };
layout(std430, set = 0, binding = TENON_EMBED_Y) writeonly buffer Y { float y[]; };
layout(std430, set = 0, binding = TENON_EMBED_LO) readonly buffer Lo { uvec4 lo[]; };
layout(std430, set = 0, binding = TENON_EMBED_LO) readonly buffer LoWords { uint lo_words[]; };
layout(std430, set = 0, binding = TENON_EMBED_HI) readonly buffer Hi { uint hi[]; };
layout(std430, set = 0, binding = TENON_EMBED_SCALE) readonly buffer Scale { uint scale[]; };

uvec4 packed_lo(uint set, uint index) { return lo[index]; }
uint packed_lo_word(uint set, uint index) { return lo_words[index]; }
uint packed_hi(uint set, uint index) { return hi[index]; }
uint packed_scale(uint set, uint index) { return scale[index]; }
#include "include/decode.glsl"

void main() {
    const uint block = gl_GlobalInvocationID.x;
    const uint token = gl_WorkGroupID.y;
    if (token >= rows() || block * TENON_BLOCK_COLS >= params.cols) return;
    const uint id = ids[token];
    if (id >= params.table_rows) {
        if (block == 0u && params.row_begin == 0u) report(ERROR_TOKEN_ID, token, id);
        return;
    }
    const uint row = id - params.row_begin;
    if (row >= params.rows) return; // another slice's; wraps below row_begin
    PackedBlock b = load_block(0u, row, block);
    [[unroll]] for (uint eighth = 0; eighth < 4; ++eighth) {
        vec4 values[2];
        decode_eight(0u, b, row, block, eighth, values[0], values[1]);
        [[unroll]] for (uint k = 0; k < 8; ++k) {
            const uint column = block * TENON_BLOCK_COLS + eighth * 8 + k;
            precise float value = params.scale * values[k >> 2][k & 3u];
            if (column < params.cols) y[token * params.cols + column] = value;
        }
    }
}
