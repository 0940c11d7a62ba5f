// RMS_NORM: each row divided by its root mean square, optionally after a residual add.
//
// x, residual, y, sum: [rows, cols]; gain: [cols]; residual and sum may be null.
// s = x + residual, rounded to float; sum = s;
// y = s / sqrt(mean(s^2) + epsilon) * (gain + gain_offset), the mean in double.
// Aliasing: y and sum may be x or residual.
#pragma once

#include <cmath>
#include <cstdint>

namespace tenon::reference {

// One row without residual; also the norm of one head of q or k.
inline void rms_norm_row(const float* x, const float* gain, int64_t cols, float epsilon,
                         float gain_offset, float* y) {
    double squares = 0;
    for (int64_t c = 0; c < cols; ++c)
        squares += static_cast<double>(x[c]) * x[c];
    const double factor = 1.0 / std::sqrt(squares / static_cast<double>(cols) + epsilon);
    for (int64_t c = 0; c < cols; ++c) {
        y[c] = static_cast<float>(x[c] * factor * (static_cast<double>(gain[c]) + gain_offset));
    }
}

inline void rms_norm(const float* x, const float* gain, const float* residual, int64_t rows,
                     int64_t cols, float epsilon, float gain_offset, float* y, float* sum) {
    for (int64_t r = 0; r < rows; ++r) {
        float* out = y + r * cols;
        for (int64_t c = 0; c < cols; ++c) {
            const float s = x[r * cols + c] + (residual != nullptr ? residual[r * cols + c] : 0.0f);
            if (sum != nullptr) sum[r * cols + c] = s;
            out[c] = s;
        }
        rms_norm_row(out, gain, cols, epsilon, gain_offset, out);
    }
}

}  // namespace tenon::reference
