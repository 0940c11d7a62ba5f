// The largest of a row of logits, and whether the row is sound. Never allocates.
#pragma once

#include <stdint.h>

#include "kernels/include/tenon/kernels/isa.h"

namespace tenon::kernels {

struct Peak {
    uint32_t index;  // lowest index of the largest logit; 0 when all are -infinity
    bool broken;     // the row holds a NaN or +infinity; index means nothing then
};
using PeakFn = Peak (*)(const float* logits, uint64_t count);  // count >= 1

struct PeakEntry {
    Isa isa;
    bool deterministic;
    PeakFn find_peak;
};
const PeakEntry* peak_entries(uint32_t* count) noexcept;
const PeakEntry* find_peak(Isa isa) noexcept;  // never null

}  // namespace tenon::kernels
