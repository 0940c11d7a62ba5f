// How the next token of a sequence is chosen: the host's side of the SAMPLE op.
#pragma once

#include "core/base/result.h"

#include <cstdint>

namespace tenon::sampling {

// One sequence's parameters; their meaning is that of <tenon/reference/sample.h>.
struct SamplingParams {
    float temperature = 0;  // 0: greedy
    int32_t top_k = 0;      // 0: off
    float top_p = 1;        // 1: off
    float min_p = 0;        // 0: off
    uint64_t seed = 0;
};

// Ranges: temperature 0-2, top_k >= 0, top_p in (0,1], min_p in [0,1]; NaN is refused. The error
// names the field.
Status validate(const SamplingParams& params);

}  // namespace tenon::sampling
