// GATHER_ROWS: rows of a value by index.
//
// x: [*, cols]; rows: [count], each a row of x, repeats allowed; y: [count, cols] = x[rows[i]].
// Aliasing: y overlaps no input.
#pragma once

#include <cstdint>

namespace tenon::reference {

inline void gather_rows(const float* x, int64_t cols, const int32_t* rows, int64_t count,
                        float* y) {
    for (int64_t i = 0; i < count; ++i) {
        const float* row = x + static_cast<int64_t>(rows[i]) * cols;
        for (int64_t c = 0; c < cols; ++c)
            y[i * cols + c] = row[c];
    }
}

}  // namespace tenon::reference
