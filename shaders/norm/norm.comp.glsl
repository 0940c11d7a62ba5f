#version 450
#extension GL_GOOGLE_include_directive : require
#include "norm/params.h"

layout(push_constant) uniform Push {
    NormParams params;
};

#define STEP_READS_ONLY
#include "include/step.glsl"

layout(local_size_x_id = TENON_NORM_SPEC_LOCAL) in;
layout(local_size_x = 8) in;

// Each twice: as numbers, and in fours where rows are whole fours.
layout(std430, set = 0, binding = TENON_NORM_X) readonly buffer X {
    float x[];
};
layout(std430, set = 0, binding = TENON_NORM_X) readonly buffer X4 {
    vec4 x4[];
};
layout(std430, set = 0, binding = TENON_NORM_GAIN) readonly buffer Gain {
    float gain[];
};
layout(std430, set = 0, binding = TENON_NORM_GAIN) readonly buffer Gain4 {
    vec4 gain4[];
};
layout(std430, set = 0, binding = TENON_NORM_RESIDUAL_AT) readonly buffer Residual {
    float residual[];
};
layout(std430, set = 0, binding = TENON_NORM_RESIDUAL_AT) readonly buffer Residual4 {
    vec4 residual4[];
};
layout(std430, set = 0, binding = TENON_NORM_Y) buffer Y {
    float y[];
};
layout(std430, set = 0, binding = TENON_NORM_Y) buffer Y4 {
    vec4 y4[];
};
layout(std430, set = 0, binding = TENON_NORM_SUM_AT) writeonly buffer Sum {
    float sums[];
};
layout(std430, set = 0, binding = TENON_NORM_SUM_AT) writeonly buffer Sum4 {
    vec4 sums4[];
};

#ifdef LANES
shared float parts[TENON_NORM_LOCAL_MAX];
#define LANE gl_LocalInvocationID.x
#define LANE_COUNT gl_WorkGroupSize.x
#else
#define LANE 0u
#define LANE_COUNT 1u
#endif

// x, or x + residual, goes to y, and to the sums; the result is the sum of squares over this lane's
// columns. y is where the second pass reads it: x may be overwritten by the sums.
float first_pass(uint row, bool fours) {
    const bool with_residual = (params.flags & TENON_NORM_RESIDUAL) != 0u;
    const bool with_sum = (params.flags & TENON_NORM_SUM) != 0u;
    precise vec4 squares = vec4(0.0);
    if (fours) {
        const uint count = params.cols / 4u;
        for (uint c = LANE; c < count; c += LANE_COUNT) {
            const uint at = row * count + c;
            vec4 s = x4[at];
            if (with_residual) {
                s += residual4[at];
                y4[at] = s;
            }
            if (with_sum) sums4[at] = s;
            squares += s * s;
        }
    } else {
        for (uint c = LANE; c < params.cols; c += LANE_COUNT) {
            const uint at = row * params.cols + c;
            float s = x[at];
            if (with_residual) {
                s += residual[at];
                y[at] = s;
            }
            if (with_sum) sums[at] = s;
            squares.x += s * s;
        }
    }
    precise const float sum = (squares.x + squares.y) + (squares.z + squares.w);
    return sum;
}

void second_pass(uint row, bool fours, float factor) {
    const bool from_y = (params.flags & TENON_NORM_RESIDUAL) != 0u;
    if (fours) {
        const uint count = params.cols / 4u;
        for (uint c = LANE; c < count; c += LANE_COUNT) {
            const uint at = row * count + c;
            vec4 s;
            if (from_y) {
                s = y4[at];
            } else {
                s = x4[at];
            }
            y4[at] = s * factor * (gain4[c] + params.gain_offset);
        }
    } else {
        for (uint c = LANE; c < params.cols; c += LANE_COUNT) {
            const uint at = row * params.cols + c;
            float s;
            if (from_y) {
                s = y[at];
            } else {
                s = x[at];
            }
            y[at] = s * factor * (gain[c] + params.gain_offset);
        }
    }
}

void main() {
#ifdef LANES
    const uint row = gl_WorkGroupID.x;
#else
    const uint row = gl_GlobalInvocationID.x;
#endif
    if (row >= rows()) return;
    const bool fours = params.cols % 4u == 0u;
    float squares = first_pass(row, fours);
#ifdef LANES
    parts[LANE] = squares;
    barrier();
    squares = 0.0;
    for (uint lane = 0u; lane < LANE_COUNT; ++lane) squares += parts[lane];
#endif
    second_pass(row, fours, 1.0 / sqrt(squares / float(params.cols) + params.epsilon));
}
