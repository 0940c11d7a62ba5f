// Elementwise maps over a range of floats. `out` may be either input. Never allocates.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

enum class Activation : uint8_t {
    kNone,      // x
    kSilu,      // x / (1 + exp(-x))
    kGeluTanh,  // x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
    kGeluErf,   // x/2 * (1 + erf(x / sqrt(2)))
};

struct ElementwiseArgs {
    const float* x;
    const float* other;  // add, mul, glu: the second operand
    float* out;
    uint64_t count;
    Activation activation;  // activate, glu
    float cap;              // softcap
};
using ElementwiseFn = void (*)(const ElementwiseArgs&);

struct ElementwiseEntry {
    Isa isa;
    bool deterministic;
    ElementwiseFn add;       // x + other
    ElementwiseFn mul;       // x * other
    ElementwiseFn activate;  // activation(x)
    ElementwiseFn glu;       // activation(x) * other
    ElementwiseFn softcap;   // cap * tanh(x / cap)
};
const ElementwiseEntry* elementwise_entries(uint32_t* count) noexcept;
const ElementwiseEntry* find_elementwise(Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
