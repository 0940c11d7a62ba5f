// What the variants of MATMUL share: constants, buffers, rows of x, and what becomes of a sum.
layout(constant_id = TENON_MATMUL_SPEC_ROWS) const uint ROWS = 4;
layout(constant_id = TENON_MATMUL_SPEC_TOKENS) const uint TOKENS = 1;
layout(constant_id = TENON_MATMUL_SPEC_OP) const uint OP = TENON_MATMUL_OP_PLAIN;
layout(constant_id = TENON_MATMUL_SPEC_ACTIVATION) const uint ACTIVATION = 0;
layout(constant_id = TENON_MATMUL_SPEC_RAGGED) const uint RAGGED = 0;
const uint SETS = 1 + (OP & TENON_MATMUL_OP_GLU); // weights
const uint LANES = SETS * ROWS;                   // gate rows, then up rows

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

// Writes an output, given its sum over the columns; `up` is the one of the second weight of OP_GLU.
void finish(uint row, uint token, float sum, float up) {
    const uint at = token * params.y_stride + params.row_begin + row;
    precise float value = sum;
    if (OP == TENON_MATMUL_OP_PLAIN) {
        value *= params.alpha;
        if ((params.flags & TENON_MATMUL_BIAS) != 0u) value += bias[params.row_begin + row];
        if ((params.flags & TENON_MATMUL_RESIDUAL) != 0u) value += residual[at];
    } else if (OP == TENON_MATMUL_OP_GLU) {
        value = activate(value, ACTIVATION) * up;
    } else {
        value *= activate(residual[at], ACTIVATION);
    }
    y[at] = value;
}
