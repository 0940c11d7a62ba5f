// The messages of a chat: what clients may send, and the prompt that the model's template makes of it.
#pragma once

#include "core/engine/chat_encoder.h"
#include "core/server/field_reader.h"
#include "core/server/service.h"

namespace tenon::server {

// `messages`: roles system, developer (read as system), user, assistant and tool; content a string or
// an array of text parts, joined by line ends.
void read_messages(FieldReader& fields, const config::Limits& limits, engine::ChatInput& out);
// Text of a content that is a string or parts of the types in `part_types`; `path` names it.
std::optional<std::string> read_content(FieldReader& fields, JsonView content,
                                        const std::string& path, const config::Limits& limits,
                                        std::initializer_list<std::string_view> part_types);
// add_generation_prompt, continue_final_message, chat_template_kwargs (enable_thinking, thinking,
// reasoning_effort, add_generation_prompt).
void read_template_options(FieldReader& fields, engine::ChatInput& out);

// Slow: renders and tokenizes. 400 template_error when the template refuses, 500 when the tokenizer
// fails.
std::optional<ApiError> encode_chat(const Service& service, const engine::ChatInput& input,
                                    engine::EncodedChat& out);

}  // namespace tenon::server
