// The shape of one endpoint's answer: what is computed, in the words of its API.
#pragma once

#include "core/engine/generation.h"
#include "core/server/api_error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::server {

// One sequence as far as it came.
struct Choice {
    uint32_t index = 0;  // among all of the request
    std::string text;
    std::vector<engine::OutputToken> tokens;
    std::vector<float> embedding;
    std::optional<engine::Finish> finish;
};

struct Usage {
    uint64_t prompt_tokens = 0;  // each prompt once, however many answers it has
    uint64_t cached_tokens = 0;
    uint64_t output_tokens = 0;

    uint64_t total() const noexcept { return prompt_tokens + output_tokens; }
};

// Made for one request; called by one thread at a time. Either whole() or the others are used.
// Members that stream append whole SSE events to `out`.
class AnswerForm {
public:
    virtual ~AnswerForm() = default;

    // The body of the complete answer.
    virtual std::string whole(const std::vector<Choice>& choices, const Usage& usage) = 0;

    // Whether the stream has reason to begin with this delta. Until then errors are plain answers
    // and a lost engine is no loss.
    virtual bool has_news(const engine::OutputDelta& delta) const { return !delta.text.empty(); }
    virtual void begin(std::string& out) { (void)out; }
    // What is new of `choice`, which already has it; a finish comes with the last.
    virtual void delta(const Choice& choice, const engine::OutputDelta& delta, std::string& out) {
        (void)choice, (void)delta, (void)out;
    }
    virtual void end(const std::vector<Choice>& choices, const Usage& usage, std::string& out) {
        (void)choices, (void)usage, (void)out;
    }
    // The last event of a stream that cannot go on; may be asked for long before it is sent.
    virtual void error(const ApiError& error, std::string& out) const;
    // Sent in a stream that is silent.
    virtual std::string_view ping() const { return ": ping\n\n"; }
};

}  // namespace tenon::server
