#version 450
#extension GL_GOOGLE_include_directive : require
#include "rows/params.h"

layout(push_constant) uniform Push {
    RowsParams params;
};

#include "include/step.glsl"

layout(local_size_x_id = TENON_ROWS_SPEC_LOCAL) in;
layout(local_size_x = 64) in;
layout(constant_id = TENON_ROWS_SPEC_OP) const uint OP = TENON_ROWS_OP_GATHER;

layout(std430, set = 0, binding = TENON_ROWS_X) readonly buffer X {
    float x[];
};
layout(std430, set = 0, binding = TENON_ROWS_INDEX) readonly buffer Index {
    int rows_of_x[];
};
layout(std430, set = 0, binding = TENON_ROWS_Y) writeonly buffer Y {
    float y[];
};

// The rows of x, begin .. end - 1, that row `row` of y is made of; none after an error.
void source_rows(uint row, out uint begin, out uint end) {
    const uint limit = step_buffer[params.source_word];
    const uint first = uint(rows_of_x[row]);
    begin = 0u;
    end = 0u;
    if (OP == TENON_ROWS_OP_GATHER) {
        if (first >= limit) {
            report(ERROR_ROW_INDEX, row, first);
            return;
        }
        begin = first;
        end = first + 1u;
        return;
    }
    const uint next = uint(rows_of_x[row + 1u]);
    if (row == 0u && first != 0u) {
        report(ERROR_Q_START, row, first);
        return;
    }
    if (first > next || next > limit) {
        report(ERROR_Q_START, row + 1u, next);
        return;
    }
    begin = first;
    end = next;
    if (first == next) return;
    if (OP == 1u) begin = next - 1u;  // TENON_POOL_LAST
    if (OP == 2u) end = first + 1u;   // TENON_POOL_FIRST
}

void main() {
    const uint row = gl_WorkGroupID.y;
    if (row >= rows()) return;
    uint begin, end;
    source_rows(row, begin, end);
    const uint first_col = gl_GlobalInvocationID.x * TENON_ROWS_COLS;
    const uint end_col = min(first_col + TENON_ROWS_COLS, params.cols);
    for (uint col = first_col; col < end_col; ++col) {
        float value = begin < end ? x[begin * params.cols + col] : 0.0;
        if (end - begin > 1u) {
            // With the rounding errors of the sum carried along: a mean over many tokens stays exact.
            precise float sum = value;
            precise float lost = 0.0;
            for (uint t = begin + 1u; t < end; ++t) {
                precise const float next = x[t * params.cols + col] - lost;
                precise const float grown = sum + next;
                lost = (grown - sum) - next;
                sum = grown;
            }
            value = sum / float(end - begin);
        }
        y[row * params.cols + col] = value;
    }
}
