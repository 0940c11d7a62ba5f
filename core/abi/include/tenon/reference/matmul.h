// MATMUL: x times a weight transposed, optional bias and residual.
//
// x: [tokens, cols]; w: [rows, cols], decoded to float; bias: [rows] or null;
// residual: [tokens, rows] or null; y: [tokens, rows] = alpha * (x w^T) + bias + residual.
// The sum runs in double and is rounded to float once. Aliasing: y may be residual, not x or w.
#pragma once

#include <cstdint>

namespace tenon::reference {

inline double dot(const float* a, const float* b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i)
        sum += static_cast<double>(a[i]) * b[i];
    return sum;
}

inline void matmul(const float* x, const float* w, const float* bias, const float* residual,
                   int64_t tokens, int64_t rows, int64_t cols, float alpha, float* y) {
    for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t r = 0; r < rows; ++r) {
            double sum = alpha * dot(x + t * cols, w + r * cols, cols);
            if (bias != nullptr) sum += bias[r];
            if (residual != nullptr) sum += residual[t * rows + r];
            y[t * rows + r] = static_cast<float>(sum);
        }
    }
}

}  // namespace tenon::reference
