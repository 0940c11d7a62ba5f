// What the SAMPLE op cannot do: penalties, biases, forbidden tokens and log probabilities, on the
// host, over one row of logits. Draws are those of <tenon/reference/sample.h>, bit for bit.
#pragma once

#include "core/sampling/sampling_params.h"

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

namespace tenon::sampling {

// How often each token stands in a sequence. What a penalty depends on, and nothing else.
class TokenCounts {
public:
    void add_prompt(int32_t token) { ++counts_[token].prompt; }
    void add_output(int32_t token) { ++counts_[token].output; }

    struct Count {
        uint32_t prompt = 0, output = 0;
    };
    const std::unordered_map<int32_t, Count>& all() const noexcept { return counts_; }

private:
    std::unordered_map<int32_t, Count> counts_;
};

// Changes `logits` in the order of SamplingParams. A logit that is not positive is multiplied by
// the repetition penalty, a positive one divided by it. Tokens beyond the row are ignored.
void adjust_logits(std::span<float> logits, const SamplingParams& params,
                   const TokenCounts& counts);
// Makes tokens impossible.
void forbid(std::span<float> logits, std::span<const int32_t> tokens);

// The token that SAMPLE would draw from these logits at `position` (that of the token to be drawn);
// -1 when one is NaN or +infinity, or none is finite.
int32_t draw(std::span<const float> logits, const SamplingParams& params, int32_t position);

// log-softmax at temperature 1 of `token` and of the `count` likeliest tokens, likeliest first and
// equal ones by lower id. Summed in double, in id order.
struct Logprobs {
    float of_token = 0;
    std::vector<std::pair<int32_t, float>> top;
};
Logprobs logprobs_of(std::span<const float> logits, int32_t token, uint32_t count);

}  // namespace tenon::sampling
