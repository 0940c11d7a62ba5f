// The fields that every generating endpoint shares: what they are called, their ranges, and how they
// become requests to the engine.
#pragma once

#include "core/engine/generation.h"
#include "core/server/field_reader.h"
#include "core/server/service.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace tenon::server {

// As a client asked for it. Defaults are OpenAI's.
struct GenerationFields {
    std::string model;                   // a name of the service's
    std::optional<uint32_t> max_tokens;  // absent: the default, as far as the context goes
    std::string max_tokens_name = "max_tokens";
    uint32_t min_tokens = 0;
    sampling::SamplingParams sampling{.temperature = 1.0f};
    std::optional<int64_t> seed;
    uint32_t n = 1;
    std::vector<std::string> stop;
    std::vector<int32_t> stop_token_ids;
    bool include_stop = false;
    bool ignore_eos = false;
    bool skip_special = true;
    int32_t logprobs = -1;
    bool stream = false;
    bool include_usage = false;
    int32_t priority = 0;
    std::string cache_salt;
};

// 404 with the list of names when `model` is given and not one of them.
void read_model(FieldReader& fields, const Service& service, std::string& model);
// The answer's length, under each of `names`; the first given counts, two that differ are refused.
void read_max_tokens(FieldReader& fields, std::initializer_list<const char*> names,
                     GenerationFields& out);
// temperature, top_p, top_k, min_p, penalties, logit_bias, seed.
void read_sampling(FieldReader& fields, const Service& service, GenerationFields& out);
// Stop strings under `name`: one string or an array.
void read_stop_strings(FieldReader& fields, const char* name, const config::Limits& limits,
                       GenerationFields& out);
// What other servers call their extensions: min_tokens, stop_token_ids, ignore_eos, priority, ...
void read_extensions(FieldReader& fields, const Service& service, GenerationFields& out);
// n, best_of.
void read_answer_count(FieldReader& fields, const config::Limits& limits, GenerationFields& out);
// stream, stream_options.
void read_stream(FieldReader& fields, GenerationFields& out);
// Fields that would change the answer in ways this server cannot: 400 naming the field.
void refuse_unsupported(FieldReader& fields);

// Tokens the answer may have. 400 context_length_exceeded, with both numbers, when the prompt or the
// prompt with the answer asked for is longer than the context. `prompt_param` names the prompt.
std::optional<ApiError> fit_context(const Service& service, const GenerationFields& fields,
                                    size_t prompt_tokens, const char* prompt_param,
                                    uint32_t& max_tokens);

// One engine request for each answer to `prompt`, in order. Answer i of a request with a seed is
// the same whenever it is asked for, whatever n is; without one every call draws another.
void append_requests(const Service& service, const GenerationFields& fields, const Caller& caller,
                     std::vector<int32_t> prompt, uint32_t max_tokens,
                     std::vector<engine::GenerationRequest>& out);

}  // namespace tenon::server
