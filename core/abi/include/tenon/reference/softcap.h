// SOFTCAP: cap * tanh(x / cap), computed in double, rounded to float once.
#pragma once

#include <cmath>
#include <cstdint>

namespace tenon::reference {

// x, y: [count]; cap > 0; y may be x.
inline void softcap(const float* x, int64_t count, float cap, float* y) {
    for (int64_t i = 0; i < count; ++i) {
        y[i] = static_cast<float>(cap * std::tanh(static_cast<double>(x[i]) / cap));
    }
}

}  // namespace tenon::reference
