#include "core/server/token_logprobs.h"

#include "core/tokenizer/utf8.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::server {

namespace {

// OpenAI's figure for what is too unlikely to say.
double shown(float logprob) { return logprob > -9999.0f ? static_cast<double>(logprob) : -9999.0; }

void write_entry(JsonWriter& json, const tokenizer::Tokenizer& tokenizer, int32_t token,
                 float logprob) {
    const std::string_view bytes = tokenizer.token_bytes(token);
    json.field("token", bytes).field("logprob", shown(logprob));
    json.key("bytes").begin_array();
    for (const char c : bytes)
        json.value(static_cast<unsigned>(static_cast<unsigned char>(c)));
    json.end_array();
}

std::string spelled(std::string_view bytes) {
    if (tokenizer::is_utf8(bytes)) return std::string(bytes);
    std::string out = "bytes:";
    for (const char c : bytes)
        out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    return out;
}

size_t count_characters(std::string_view bytes) {
    return static_cast<size_t>(std::count_if(bytes.begin(), bytes.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }));
}

}  // namespace

void write_chat_logprobs(JsonWriter& json, const tokenizer::Tokenizer& tokenizer,
                         std::span<const engine::OutputToken> tokens) {
    json.begin_array();
    for (const engine::OutputToken& token : tokens) {
        json.begin_object();
        write_entry(json, tokenizer, token.token, token.logprob);
        json.key("top_logprobs").begin_array();
        for (const engine::TokenLogprob& top : token.top) {
            json.begin_object();
            write_entry(json, tokenizer, top.token, top.logprob);
            json.end_object();
        }
        json.end_array().end_object();
    }
    json.end_array();
}

void write_completion_logprobs(JsonWriter& json, const tokenizer::Tokenizer& tokenizer,
                               std::span<const engine::OutputToken> tokens, size_t& text_offset) {
    json.begin_object();
    json.key("tokens").begin_array();
    for (const engine::OutputToken& token : tokens)
        json.value(spelled(tokenizer.token_bytes(token.token)));
    json.end_array().key("token_logprobs").begin_array();
    for (const engine::OutputToken& token : tokens)
        json.value(shown(token.logprob));
    json.end_array().key("top_logprobs").begin_array();
    for (const engine::OutputToken& token : tokens) {
        json.begin_object();
        std::vector<std::string> names;  // two tokens of one spelling: the likelier counts
        for (const engine::TokenLogprob& top : token.top) {
            std::string name = spelled(tokenizer.token_bytes(top.token));
            if (std::find(names.begin(), names.end(), name) != names.end()) continue;
            json.field(name, shown(top.logprob));
            names.push_back(std::move(name));
        }
        json.end_object();
    }
    json.end_array().key("text_offset").begin_array();
    for (const engine::OutputToken& token : tokens) {
        json.value(text_offset);
        text_offset += count_characters(tokenizer.token_bytes(token.token));
    }
    json.end_array().end_object();
}

}  // namespace tenon::server
