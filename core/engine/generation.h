// What is asked of an engine and what it answers: values that cross threads and processes.
#pragma once

#include "core/base/result.h"
#include "core/sampling/sampling_params.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon::engine {

// Unique among the requests in flight; chosen by the caller.
using GenerationId = uint64_t;

// One sequence to compute. A request with n answers is n of these.
struct GenerationRequest {
    enum class Kind : uint8_t {
        kGenerate,  // tokens
        kEmbed,     // one vector: the model's pooling of the prompt, not normalised
    };

    GenerationId id = 0;
    Kind kind = Kind::kGenerate;
    std::vector<int32_t> prompt;  // at least 1; with max_tokens it fits the context
    uint32_t max_tokens = 1;
    uint32_t min_tokens = 0;  // EOS, stop ids and stop strings do not count before
    sampling::SamplingParams sampling;
    std::vector<std::string> stop;  // not empty strings
    std::vector<int32_t> stop_token_ids;
    bool include_stop = false;  // the stop string is part of the text
    bool ignore_eos = false;
    bool skip_special = true;    // special tokens have no text
    int32_t logprobs = -1;       // -1: none; N: of the token and the N likeliest
    int32_t priority = 0;        // higher first
    uint32_t queue_wait_ms = 0;  // kBusy when no step took it by then; 0: waits on
    uint32_t deadline_ms = 0;    // kTimeout; 0: none
    std::string cache_scope;     // only requests of equal scope share cached prefixes
};

enum class FinishReason : uint8_t {
    kStop,       // EOS, a stop id or a stop string
    kLength,     // max_tokens, or the context is full
    kCancelled,  // cancel()
    kError,      // Finish::error
};

const char* name_of(FinishReason reason) noexcept;  // "stop", "length", "cancelled", "error"

struct TokenLogprob {
    int32_t token = 0;
    float logprob = 0;  // natural, of the raw logits at temperature 1
};

struct OutputToken {
    int32_t token = 0;
    float logprob = 0;              // with logprobs
    std::vector<TokenLogprob> top;  // likeliest first
};

struct Finish {
    FinishReason reason = FinishReason::kStop;
    std::optional<Error> error;          // kError
    std::optional<std::string> matched;  // the stop string or the text of the stop token
    uint32_t prompt_tokens = 0;
    uint32_t cached_tokens = 0;  // of the prompt, not computed again
    uint32_t output_tokens = 0;
    double queue_ms = 0;        // until the first step that took it
    double first_token_ms = 0;  // since it was submitted
    double total_ms = 0;
    uint32_t retractions = 0;  // times its blocks were taken and computed again
};

// What is new of one sequence. Texts joined are the answer; `finish` is in the last one.
struct OutputDelta {
    GenerationId id = 0;
    bool is_scheduled = false;        // first step that takes this sequence
    std::string text;                 // whole UTF-8 characters, nothing that a stop string may eat
    std::vector<OutputToken> tokens;  // drawn; their text may still be held back
    std::vector<float> embedding;     // kEmbed, with the finish
    std::optional<Finish> finish;
};

}  // namespace tenon::engine
