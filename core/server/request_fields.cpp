#include "core/server/request_fields.h"

#include "core/server/request_ids.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>

namespace tenon::server {

namespace {

constexpr int64_t kInt32Max = INT32_MAX;
constexpr size_t kNameBytesMax = 512;

void refuse_present(FieldReader& fields, const char* name, const char* what) {
    if (!fields.has(name)) return;
    ApiError error = bad_field(fields.path_of(name), fmt::format("This server has no {}.", what));
    error.code = "unsupported_parameter";
    fields.refuse(std::move(error));
}

// Absent, null, false, or nothing in it.
bool is_nothing(JsonView value) {
    switch (value.kind()) {
        case JsonKind::kNull: return true;
        case JsonKind::kBool: return !value.as_bool();
        case JsonKind::kString: return value.as_string().empty();
        case JsonKind::kArray:
        case JsonKind::kObject: return value.size() == 0;
        default: return false;
    }
}

void refuse_filled(FieldReader& fields, const char* name, const char* what) {
    const auto value = fields.find(name);
    if (value && !is_nothing(*value)) refuse_present(fields, name, what);
}

void read_logit_bias(FieldReader& fields, const Service& service, GenerationFields& out) {
    const auto object = fields.object("logit_bias");
    if (!object) return;
    if (object->size() > service.limits.logit_bias) {
        return fields.refuse("logit_bias",
                             fmt::format("'logit_bias' has {} entries; at most {} are "
                                         "taken.",
                                         object->size(), service.limits.logit_bias));
    }
    auto& bias = out.sampling.logit_bias;
    object->for_members([&](std::string_view key, JsonView value) {
        uint32_t id = 0;
        const auto [end, ec] = std::from_chars(key.data(), key.data() + key.size(), id);
        if (ec != std::errc() || end != key.data() + key.size() || id >= service.vocab_size) {
            return fields.refuse(
                "logit_bias",
                fmt::format("'logit_bias' names the token '{}'; ids from 0 to {} are expected.",
                            key.substr(0, 24), service.vocab_size - 1));
        }
        if (!value.is_number() || !(value.as_number() >= -100 && value.as_number() <= 100)) {
            return fields.refuse(
                "logit_bias", fmt::format("'logit_bias' of token {} is {}; a number from -100 to "
                                          "100 is expected.",
                                          id, value.describe()));
        }
        bias.emplace_back(static_cast<int32_t>(id), static_cast<float>(value.as_number()));
    });
    std::sort(bias.begin(), bias.end());
    const auto twice = std::adjacent_find(
        bias.begin(), bias.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
    if (twice != bias.end()) {
        fields.refuse("logit_bias",
                      fmt::format("'logit_bias' names token {} twice.", twice->first));
    }
}

uint64_t mix(uint64_t x) noexcept {  // SplitMix64
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

}  // namespace

void read_model(FieldReader& fields, const Service& service, std::string& model) {
    model = service.model_names.empty() ? "" : service.model_names.front();
    const auto given = fields.text("model", kNameBytesMax);
    if (!given) return;
    const auto& names = service.model_names;
    if (std::find(names.begin(), names.end(), *given) != names.end()) {
        model = *given;
        return;
    }
    fields.refuse({404,
                   "invalid_request_error",
                   "model_not_found",
                   fields.path_of("model"),
                   fmt::format("The model '{}' is not served here; there is: {}.",
                               given->substr(0, 128), fmt::join(names, ", ")),
                   {}});
}

void read_max_tokens(FieldReader& fields, std::initializer_list<const char*> names,
                     GenerationFields& out) {
    for (const char* name : names) {
        const auto value = fields.integer(name, 1, kInt32Max);
        if (!value) continue;
        const auto tokens = static_cast<uint32_t>(*value);
        if (out.max_tokens && *out.max_tokens != tokens) {
            return fields.refuse(
                name, fmt::format("'{}' is {} and '{}' is {}; give one of them.", name, tokens,
                                  out.max_tokens_name, *out.max_tokens));
        }
        out.max_tokens = tokens;
        out.max_tokens_name = name;
    }
}

void read_sampling(FieldReader& fields, const Service& service, GenerationFields& out) {
    sampling::SamplingParams& s = out.sampling;
    const auto take = [](float& field, std::optional<double> value) {
        if (value) field = static_cast<float>(*value);
    };
    take(s.temperature, fields.number("temperature", 0, 2));
    // The least float above zero stands for what a float cannot tell from it.
    if (const auto top_p = fields.number("top_p", 0, 1, true)) {
        s.top_p = std::max(static_cast<float>(*top_p), 1e-37f);
    }
    take(s.min_p, fields.number("min_p", 0, 1));
    if (const auto top_k = fields.integer("top_k", -1, kInt32Max)) {
        s.top_k = static_cast<int32_t>(std::max<int64_t>(*top_k, 0));
    }
    take(s.frequency_penalty, fields.number("frequency_penalty", -2, 2));
    take(s.presence_penalty, fields.number("presence_penalty", -2, 2));
    if (const auto penalty = fields.number("repetition_penalty", 0, 10, true)) {
        s.repetition_penalty = std::max(static_cast<float>(*penalty), 1e-37f);
    }
    if (const auto seed = fields.integer("seed", INT64_MIN, INT64_MAX)) out.seed = *seed;
    read_logit_bias(fields, service, out);
}

void read_stop_strings(FieldReader& fields, const char* name, const config::Limits& limits,
                       GenerationFields& out) {
    const auto value = fields.find(name);
    if (!value) return;
    const auto take = [&](JsonView item) {
        if (!item.is(JsonKind::kString) || item.as_string().empty() ||
            item.as_string().size() > limits.stop_bytes) {
            return fields.refuse(
                name, fmt::format("'{}' has {}{}; strings of 1 to {} bytes are "
                                  "expected.",
                                  name, item.describe(),
                                  item.is(JsonKind::kString)
                                      ? fmt::format(" of {} bytes", item.as_string().size())
                                      : "",
                                  limits.stop_bytes));
        }
        out.stop.emplace_back(item.as_string());
    };
    if (value->is(JsonKind::kString)) return take(*value);
    const auto array = fields.array(name, 0, limits.stop_strings);
    if (array) array->for_items(take);
}

void read_extensions(FieldReader& fields, const Service& service, GenerationFields& out) {
    if (const auto min = fields.integer("min_tokens", 0, kInt32Max)) {
        out.min_tokens = static_cast<uint32_t>(*min);
    }
    if (const auto ids = fields.array("stop_token_ids", 0, service.limits.stop_token_ids)) {
        out.stop_token_ids = fields.token_ids("stop_token_ids", *ids, service.vocab_size);
    }
    out.ignore_eos = fields.flag("ignore_eos").value_or(false);
    out.include_stop = fields.flag("include_stop_str_in_output").value_or(false);
    out.skip_special = fields.flag("skip_special_tokens").value_or(true);
    if (const auto priority = fields.integer("priority", -1000, 1000)) {
        out.priority = static_cast<int32_t>(*priority);
    }
    for (const char* name : {"cache_salt", "cache_scope"}) {
        if (const auto salt = fields.text(name, 256)) out.cache_salt = *salt;
    }
    (void)fields.text("user", kNameBytesMax);
}

void read_answer_count(FieldReader& fields, const config::Limits& limits, GenerationFields& out) {
    const auto n = fields.integer("n", 1, limits.n);
    if (n) out.n = static_cast<uint32_t>(*n);
    const auto best_of = fields.integer("best_of", 1, limits.n);
    if (best_of && *best_of != static_cast<int64_t>(out.n)) {
        fields.refuse("best_of", fmt::format("'best_of' is {} and 'n' is {}; this server returns "
                                             "every answer it computes.",
                                             *best_of, out.n));
    }
}

void read_stream(FieldReader& fields, GenerationFields& out) {
    out.stream = fields.flag("stream").value_or(false);
    const auto options = fields.object("stream_options");
    if (!options) return;
    if (!out.stream) {
        return fields.refuse("stream_options", "'stream_options' needs 'stream': true.");
    }
    FieldReader reader(*options, "stream_options");
    out.include_usage = reader.flag("include_usage").value_or(false);
    reader.ignore({"include_obfuscation", "continuous_usage_stats"});
    if (auto error = reader.finish(false)) fields.refuse(std::move(*error));
}

void refuse_unsupported(FieldReader& fields) {
    refuse_filled(fields, "tools", "tool calling yet");
    refuse_filled(fields, "functions", "tool calling yet");
    for (const char* name : {"tool_choice", "function_call"}) {
        const auto choice = fields.find(name);
        const bool is_none = choice && choice->is(JsonKind::kString) &&
                             (choice->as_string() == "none" || choice->as_string() == "auto");
        if (choice && !is_none) refuse_present(fields, name, "tool calling yet");
    }
    if (const auto format = fields.object("response_format")) {
        const auto type = format->find("type");
        if (!type || !type->is(JsonKind::kString) || type->as_string() != "text") {
            refuse_present(fields, "response_format", "output format other than text yet");
        }
    }
    for (const char* name :
         {"regex", "json_schema", "ebnf", "grammar", "structural_tag", "structured_outputs",
          "guided_json", "guided_regex", "guided_choice", "guided_grammar"}) {
        refuse_filled(fields, name, "constrained output yet");
    }
    for (const char* name : {"prompt_embeds", "input_embeds"}) {
        refuse_filled(fields, name, "prompts of embeddings");
    }
    refuse_filled(fields, "audio", "audio");
    refuse_filled(fields, "use_beam_search", "beam search");
    refuse_filled(fields, "web_search_options", "web search");
    refuse_filled(fields, "chat_template", "templates of clients; the model's own is used");
    if (const auto modalities = fields.array("modalities", 0, 8)) {
        modalities->for_items([&](JsonView item) {
            if (!item.is(JsonKind::kString) || item.as_string() != "text") {
                refuse_present(fields, "modalities", "output other than text");
            }
        });
    }
    fields.ignore({"parallel_tool_calls", "store", "metadata", "service_tier", "safety_identifier",
                   "prompt_cache_key", "prompt_cache_retention", "prediction", "verbosity",
                   "request_id"});
}

std::optional<ApiError> fit_context(const Service& service, const GenerationFields& fields,
                                    size_t prompt_tokens, const char* prompt_param,
                                    uint32_t& max_tokens) {
    const size_t context = service.context_length;
    const auto too_long = [&](std::string param, std::string message) {
        ApiError error = bad_field(std::move(param), std::move(message));
        error.code = "context_length_exceeded";
        return error;
    };
    if (prompt_tokens == 0) return bad_field(prompt_param, "The prompt has no tokens.");
    if (prompt_tokens >= context) {
        return too_long(prompt_param, fmt::format("The prompt has {} tokens; the context holds {}, "
                                                  "at least one of them for the answer.",
                                                  prompt_tokens, context));
    }
    const size_t left = context - prompt_tokens;
    if (fields.max_tokens && *fields.max_tokens > left) {
        return too_long(fields.max_tokens_name,
                        fmt::format("The prompt has {} tokens and '{}' is {}, together {}; the "
                                    "context holds {}.",
                                    prompt_tokens, fields.max_tokens_name, *fields.max_tokens,
                                    prompt_tokens + *fields.max_tokens, context));
    }
    max_tokens = fields.max_tokens.value_or(
        static_cast<uint32_t>(std::min<size_t>(service.limits.max_tokens_default, left)));
    if (fields.min_tokens > max_tokens) {
        return bad_field("min_tokens", fmt::format("'min_tokens' is {}; the answer has at most {}.",
                                                   fields.min_tokens, max_tokens));
    }
    return std::nullopt;
}

void append_requests(const Service& service, const GenerationFields& fields, const Caller& caller,
                     std::vector<int32_t> prompt, uint32_t max_tokens,
                     std::vector<engine::GenerationRequest>& out) {
    const uint64_t seed = fields.seed ? static_cast<uint64_t>(*fields.seed) : random_bits();
    engine::GenerationRequest request;
    request.prompt = std::move(prompt);
    request.max_tokens = max_tokens;
    request.min_tokens = fields.min_tokens;
    request.sampling = fields.sampling;
    request.stop = fields.stop;
    request.stop_token_ids = fields.stop_token_ids;
    request.include_stop = fields.include_stop;
    request.ignore_eos = fields.ignore_eos;
    request.skip_special = fields.skip_special;
    request.logprobs = fields.logprobs;
    // A request may stand back behind others of its key, never before them.
    request.priority = caller.priority + std::min(fields.priority, 0);
    request.queue_wait_ms = service.limits.queue_wait_ms;
    request.cache_scope = caller.cache_scope;
    if (!fields.cache_salt.empty()) request.cache_scope += '\n' + fields.cache_salt;
    for (uint32_t i = 0; i < fields.n; ++i) {
        request.id = next_generation_id();
        request.sampling.seed = i == 0 ? seed : mix(seed ^ mix(i));
        out.push_back(request);
    }
}

}  // namespace tenon::server
