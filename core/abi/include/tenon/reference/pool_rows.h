// POOL_ROWS: one row per sequence.
//
// x: [tokens, cols]; q_start: [sequences + 1], rows q_start[s] .. q_start[s + 1] - 1 belong to sequence s;
// y: [sequences, cols]. A sequence without rows gives zeros. Aliasing: y overlaps no input.
#pragma once

#include <tenon/abi.h>

#include <cstdint>

namespace tenon::reference {

inline void pool_rows(const float* x, int64_t cols, const int32_t* q_start, int64_t sequences,
                      uint32_t kind, float* y) {
    for (int64_t s = 0; s < sequences; ++s) {
        const int64_t begin = q_start[s];
        const int64_t end = q_start[s + 1];
        for (int64_t c = 0; c < cols; ++c) {
            double value = 0;
            if (end > begin) {
                if (kind == TENON_POOL_FIRST) value = x[begin * cols + c];
                if (kind == TENON_POOL_LAST) value = x[(end - 1) * cols + c];
                if (kind == TENON_POOL_MEAN) {
                    for (int64_t t = begin; t < end; ++t)
                        value += x[t * cols + c];
                    value /= static_cast<double>(end - begin);
                }
            }
            y[s * cols + c] = static_cast<float>(value);
        }
    }
}

}  // namespace tenon::reference
