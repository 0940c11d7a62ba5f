// The messages of a chat: what clients may send, and the prompt that the model's template makes of it.
#pragma once

#include "core/engine/chat_encoder.h"
#include "core/server/field_reader.h"
#include "core/server/service.h"

#include <span>
#include <string_view>

namespace tenon::server {

// What the messages of an API may look like.
struct MessageRules {
    const char* field = "messages";
    std::span<const std::string_view> roles;
    std::span<const std::string_view> part_types;
};
inline constexpr std::string_view kOpenAiRoles[] = {"system", "developer", "user", "assistant",
                                                    "tool"};
inline constexpr std::string_view kTextPart[] = {"text"};

// Appends messages: content is a string or an array of text parts, joined by line ends; the role
// developer is read as system.
void read_messages(FieldReader& fields, const config::Limits& limits, const MessageRules& rules,
                   engine::ChatInput& out);
// Text of a content that is a string or parts of the types in `part_types`; `path` names it.
std::optional<std::string> read_content(FieldReader& fields, JsonView content,
                                        const std::string& path, const config::Limits& limits,
                                        std::span<const std::string_view> part_types);
// add_generation_prompt, continue_final_message, chat_template_kwargs (enable_thinking, thinking,
// reasoning_effort, add_generation_prompt).
void read_template_options(FieldReader& fields, engine::ChatInput& out);

// Slow: renders and tokenizes. 400 template_error when there is no template or it refuses the
// conversation, 500 when it fails.
std::optional<ApiError> encode_chat(const Service& service, const engine::ChatInput& input,
                                    engine::EncodedChat& out);

}  // namespace tenon::server
