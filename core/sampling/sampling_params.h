// How the next token of a sequence is chosen: the host's side of the SAMPLE op.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <utility>
#include <vector>

namespace tenon::sampling {

// One sequence's parameters; their meaning is that of <tenon/reference/sample.h>.
struct SamplingParams {
    float temperature = 0;  // 0: greedy
    int32_t top_k = 0;      // 0: off
    float top_p = 1;        // 1: off
    float min_p = 0;        // 0: off
    uint64_t seed = 0;

    // What changes the logits before the op sees them, in this order: bias, repetition (prompt and
    // output), frequency and presence (output only).
    std::vector<std::pair<int32_t, float>> logit_bias = {};  // token, added to its logit
    float repetition_penalty = 1;                            // 1: off
    float frequency_penalty = 0;                             // 0: off
    float presence_penalty = 0;                              // 0: off

    bool changes_logits() const noexcept {
        return !logit_bias.empty() || repetition_penalty != 1 || frequency_penalty != 0 ||
               presence_penalty != 0;
    }
};

// Ranges: temperature 0-2, top_k >= 0, top_p in (0,1], min_p in [0,1], repetition_penalty in (0,10],
// frequency and presence penalty -2 to 2, bias -100 to 100; NaN is refused. The error names the
// field.
Status validate(const SamplingParams& params);

}  // namespace tenon::sampling
