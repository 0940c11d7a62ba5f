// How an answer is drawn: one table for the flags of `run`, `/set` of a conversation and the cases of
// a smoke suite.
#pragma once

#include "core/base/result.h"
#include "core/cli/arguments.h"
#include "core/sampling/sampling_params.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

struct AnswerOptions {
    sampling::SamplingParams sampling{.temperature = 0.7f, .top_k = 40, .top_p = 0.95f};
    uint32_t max_tokens = 0;  // 0: until the context is full
    std::vector<std::string> stop;
};

// visit(name, field, flags, text): `flags` is null where the command line has none.
template <class Options, class Visitor>
void visit_answer(Options& o, Visitor&& visit) {
    visit("max_tokens", o.max_tokens, "-n,--max-tokens",
          "longest answer; 0: until the context is full");
    visit("temperature", o.sampling.temperature, "--temp,--temperature",
          "temperature; 0 is greedy");
    visit("top_k", o.sampling.top_k, "--top-k", "keep the K likeliest tokens; 0: all");
    visit("top_p", o.sampling.top_p, "--top-p", "keep this share of the probability");
    visit("min_p", o.sampling.min_p, "--min-p", "keep tokens above this share of the likeliest");
    visit("seed", o.sampling.seed, "--seed", "of the sampler; 0: a new one each time");
    visit("stop", o.stop, "--stop", "end the answer before this text; may be repeated");
    visit("repetition_penalty", o.sampling.repetition_penalty, nullptr,
          "divides what was there before; 1: off");
    visit("frequency_penalty", o.sampling.frequency_penalty, nullptr,
          "taken from a token for each time it was drawn; 0: off");
    visit("presence_penalty", o.sampling.presence_penalty, nullptr,
          "taken from a token that was drawn; 0: off");
}

// Declares the flags; `options` outlives parse().
void declare(Arguments& arguments, AnswerOptions& options);

struct AnswerSetting {
    std::string name, value, text;
};
// Every option with its value.
std::vector<AnswerSetting> list_answer_options(const AnswerOptions& options);

// Sets one option from text; the stop strings are replaced by one, or by none for an empty text. On
// error nothing has changed, and the sentence says what was wanted or which name is near.
Status set_answer_option(AnswerOptions& options, std::string_view name, std::string_view text);

}  // namespace tenon::cli
