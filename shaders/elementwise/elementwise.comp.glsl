#version 450
#extension GL_GOOGLE_include_directive : require
#include "elementwise/params.h"

layout(push_constant) uniform Push {
    ElementwiseParams params;
};

#define STEP_READS_ONLY
#include "include/step.glsl"
#include "include/math.glsl"

layout(local_size_x_id = TENON_ELEMENTWISE_SPEC_LOCAL) in;
layout(local_size_x = 64) in;
layout(constant_id = TENON_ELEMENTWISE_SPEC_OP) const uint OP = TENON_ELEMENTWISE_OP_ADD;
layout(constant_id = TENON_ELEMENTWISE_SPEC_ACTIVATION) const uint ACTIVATION = 0;

layout(std430, set = 0, binding = TENON_ELEMENTWISE_A) readonly buffer A {
    float a[];
};
layout(std430, set = 0, binding = TENON_ELEMENTWISE_B) readonly buffer B {
    float b[];
};
layout(std430, set = 0, binding = TENON_ELEMENTWISE_Y) writeonly buffer Y {
    float y[];
};

void main() {
    const uint row = gl_WorkGroupID.y;
    const uint begin = gl_GlobalInvocationID.x * TENON_ELEMENTWISE_COLS;
    if (row >= rows()) return;
    const uint end = min(begin + TENON_ELEMENTWISE_COLS, params.cols);
    for (uint col = begin; col < end; ++col) {
        const uint at = row * params.cols + col;
        float value = a[at];
        switch (OP) {
            case TENON_ELEMENTWISE_OP_ADD: value += b[row * params.b_stride + col]; break;
            case TENON_ELEMENTWISE_OP_MUL: value *= b[row * params.b_stride + col]; break;
            case TENON_ELEMENTWISE_OP_ACTIVATION: value = activate(value, ACTIVATION); break;
            case TENON_ELEMENTWISE_OP_SOFTCAP: value = params.cap * tanh_of(value / params.cap); break;
        }
        y[at] = value;
    }
}
