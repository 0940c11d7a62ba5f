// Perplexity of a text, as llama-perplexity defines it.
#pragma once

#include "core/engine/model_runner.h"

#include <functional>
#include <optional>
#include <span>

namespace tenon::engine {

struct Perplexity {
    double perplexity = 0;  // exp of the mean negative log likelihood
    double nll_sum = 0;     // of all scored tokens, in nats
    uint64_t tokens = 0;    // scored
};

// Cuts `ids` into chunks of `chunk` tokens (an incomplete last one is dropped), starts each with an
// empty cache and scores its second half: positions chunk/2 .. chunk-2 predict their successors.
// With `bos` the first token of each chunk is replaced by it. The runner ends in logits and its
// context holds a chunk. kData when a logit is not finite. `on_chunk` gets the figures so far.
Result<Perplexity> score_perplexity(
    ModelRunner& runner, std::span<const int32_t> ids, uint32_t chunk, std::optional<int32_t> bos,
    const std::function<void(const Perplexity&, uint32_t done, uint32_t total)>& on_chunk = {});

}  // namespace tenon::engine
