// s = x + residual; y = s / sqrt(mean(s^2) + epsilon) * (gain + gain_offset), row by row.
//
// The sum of squares runs in 32 chains (element i in chain i % 32) folded in a fixed tree: a row's
// result depends on nothing but the row. Never allocates.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

struct NormArgs {
    const float* x;         // row 0
    const float* residual;  // row 0, or null
    const float* gain;      // [cols]
    float* y;               // row 0; may be x
    float* sum;             // row 0 of s, or null; may be x or residual
    uint64_t x_stride, residual_stride, y_stride, sum_stride;  // floats
    uint32_t row_begin, row_end, cols;
    float epsilon, gain_offset;
};
using NormFn = void (*)(const NormArgs&);

struct NormEntry {
    Isa isa;
    bool deterministic;
    NormFn rms_norm;
};
const NormEntry* norm_entries(uint32_t* count) noexcept;
const NormEntry* find_norm(Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
