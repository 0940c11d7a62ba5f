// MATMUL_GLU: the gated half of a feed-forward layer.
//
// x: [tokens, cols]; gate, up: [rows, cols], decoded to float;
// y: [tokens, rows] = activation(x gate^T) * (x up^T), in double, rounded to float once.
// Aliasing: y overlaps no input.
#pragma once

#include <tenon/reference/activation.h>
#include <tenon/reference/matmul.h>

#include <cstdint>

namespace tenon::reference {

inline void matmul_glu(const float* x, const float* gate, const float* up, int64_t tokens,
                       int64_t rows, int64_t cols, uint32_t activation_kind, float* y) {
    for (int64_t t = 0; t < tokens; ++t) {
        for (int64_t r = 0; r < rows; ++r) {
            const double g = dot(x + t * cols, gate + r * cols, cols);
            const double u = dot(x + t * cols, up + r * cols, cols);
            y[t * rows + r] = static_cast<float>(activate(g, activation_kind) * u);
        }
    }
}

}  // namespace tenon::reference
