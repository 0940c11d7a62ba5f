// ACTIVATION: elementwise, computed in double, rounded to float once.
#pragma once

#include <tenon/abi.h>

#include <cmath>
#include <cstdint>

namespace tenon::reference {

// `activation` is a tenon_activation; an unknown number is the identity.
inline double activate(double x, uint32_t activation) {
    switch (activation) {
        case TENON_ACT_SILU: return x / (1.0 + std::exp(-x));
        case TENON_ACT_GELU_TANH: {
            // sqrt(2 / pi)
            const double slope = 0.79788456080286535588;
            return 0.5 * x * (1.0 + std::tanh(slope * (x + 0.044715 * x * x * x)));
        }
        case TENON_ACT_GELU_ERF: return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
        default: return x;
    }
}

// x, y: [count]; y may be x.
inline void activation(const float* x, int64_t count, uint32_t kind, float* y) {
    for (int64_t i = 0; i < count; ++i)
        y[i] = static_cast<float>(activate(x[i], kind));
}

}  // namespace tenon::reference
