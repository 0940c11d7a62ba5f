// One sequence inside the engine, from its arrival to its finish.
#pragma once

#include "core/engine/answer.h"
#include "core/engine/engine_client.h"
#include "core/engine/model_runner.h"
#include "core/kv/radix_tree.h"
#include "core/sampling/host_sampler.h"

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

namespace tenon::engine {

using Clock = std::chrono::steady_clock;

// Owned by the engine's core; one thread.
struct Job {
    Job(const tokenizer::Tokenizer& tokenizer, GenerationRequest asked,
        std::shared_ptr<OutputSink> to, Sequence empty)
        : request(std::move(asked)),
          sink(std::move(to)),
          answer(tokenizer, request),
          sequence(std::move(empty)),
          tokens(request.prompt) {}

    GenerationRequest request;
    std::shared_ptr<OutputSink> sink;
    Answer answer;
    sampling::TokenCounts counts;  // kept only where a penalty needs them
    uint32_t key = 0;

    // Positions below sequence.length() are written; each holds the token of `tokens` there.
    Sequence sequence;
    std::vector<int32_t> tokens;    // prompt and everything drawn
    kv::RadixNode* node = nullptr;  // locked: the end of what it borrows from the tree
    std::vector<float> embedding;   // kEmbed: pooled so far

    bool is_running = false;  // holds blocks
    bool is_paused = false;
    bool is_finished = false;  // the sink has its finish; waits for steps in flight
    bool was_scheduled = false;
    uint32_t in_flight = 0;       // steps in flight that hold a row of it
    int32_t undrawn_row = -1;     // row of the step in flight that draws its next token, or -1
    uint64_t undrawn_flight = 0;  // and the number of that flight
    uint32_t skipped = 0;         // consecutive steps that left it out
    uint32_t retractions = 0;
    uint32_t cached_tokens = 0;      // hit when it was admitted first
    kv::RadixTree::Peek cached_now;  // kWaiting: hit if it were admitted, as of cache_version
    uint64_t cache_version = UINT64_MAX;
    uint64_t shared_hash = 0;  // of its first blocks, for the in-batch rule
    Clock::time_point arrived, scheduled, first_token;

    uint32_t drawn() const noexcept {
        return static_cast<uint32_t>(tokens.size() - request.prompt.size());
    }
    // Tokens to compute until a token can be drawn: those without a position, and the one that a
    // step in flight is drawing.
    uint32_t tokens_left() const noexcept {
        const auto known = static_cast<uint32_t>(tokens.size()) + (undrawn_row >= 0 ? 1 : 0);
        return known - sequence.length();
    }
    bool is_embedding() const noexcept { return request.kind == GenerationRequest::Kind::kEmbed; }
    // Its next token cannot come from the device alone.
    bool wants_logits() const noexcept {
        return request.logprobs >= 0 || request.sampling.changes_logits() || answer.must_go_on();
    }
};

}  // namespace tenon::engine
