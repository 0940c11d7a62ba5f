// A dense two-layer model at toy size with random weights: all ops of a llama-like step in one
// program.
#pragma once

#include <string>

#include "tests/conformance/batch.h"

namespace tenon::conformance {

inline constexpr int64_t kTinyVocabulary = 131;

enum TinySlot : uint32_t {
    kTokenIds = kBatchSlots,
    kLogitRows,
    kTinyTemperature,
    kTinyTopK,
    kTinyTopP,
    kTinyMinP,
    kTinySeed,
    kTinyPosition,
    kTinyLogits,
    kTinyToken,
};

// Weights of the layers in `format`; norms and the tied embedding in f32 and `format`. Steps of up to
// 16 tokens for each of `sequences`.
Trial make_tiny_model(const std::string& format, tenon_dtype kv_dtype, Random& random,
                      uint32_t sequences = 3);

// Tokens of several sequences; the logits of the last token of each sequence in the step. Greedy.
Step make_tiny_step(Sequences& sequences, const std::vector<std::vector<int32_t>>& tokens);

}  // namespace tenon::conformance
