// Log probabilities of tokens in the two shapes of OpenAI's API.
#pragma once

#include "core/base/json_writer.h"
#include "core/engine/generation.h"
#include "core/tokenizer/tokenizer.h"

#include <span>
#include <string>

namespace tenon::server {

// Chat: [{"token","logprob","bytes","top_logprobs":[{...}]}], one a token.
void write_chat_logprobs(JsonWriter& json, const tokenizer::Tokenizer& tokenizer,
                         std::span<const engine::OutputToken> tokens);

// Completions: {"tokens","token_logprobs","top_logprobs","text_offset"}. `text_offset` counts
// characters; it is moved behind the tokens. A token that is a part of a character is spelled
// "bytes:\xe2\x82".
void write_completion_logprobs(JsonWriter& json, const tokenizer::Tokenizer& tokenizer,
                               std::span<const engine::OutputToken> tokens, size_t& text_offset);

}  // namespace tenon::server
