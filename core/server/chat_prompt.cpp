#include "core/server/chat_prompt.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tenon::server {

namespace {

void read_message(FieldReader& fields, JsonView message, size_t index, const config::Limits& limits,
                  const MessageRules& rules, engine::ChatInput& out) {
    const std::string path = fmt::format("{}.{}", rules.field, index);
    if (!message.is(JsonKind::kObject)) {
        return fields.refuse(bad_field(
            path, fmt::format("'{}' is {}; an object is expected.", path, message.describe())));
    }
    FieldReader reader(message, path);
    const auto type = reader.text("type", 64);
    if (type && *type != "message") {
        reader.refuse("type",
                      fmt::format("'{}' is no message; this server takes text alone.", path));
    }
    const auto role = reader.text("role", 64);
    const bool is_known =
        role && std::find(rules.roles.begin(), rules.roles.end(), *role) != rules.roles.end();
    if (!reader.failed() && !is_known) {
        reader.refuse("role", fmt::format("'{}.role' is {}; one of {} is expected.", path,
                                          role ? fmt::format("'{}'", *role) : "missing",
                                          fmt::join(rules.roles, ", ")));
    }
    for (const char* name : {"tool_calls", "function_call"}) {
        const auto calls = reader.find(name);
        if (calls && calls->size() > 0) {
            reader.refuse(name, "This server has no tool calling yet.");
        }
    }
    const auto content = reader.find("content");
    std::optional<std::string> text;
    if (!content) {
        reader.refuse("content",
                      fmt::format("'{}.content' is missing; a string or an array of text "
                                  "parts is expected.",
                                  path));
    } else {
        text = read_content(reader, *content, path + ".content", limits, rules.part_types);
    }
    if (auto error = reader.finish(false)) return fields.refuse(std::move(*error));
    out.messages.push_back(
        {*role == "developer" ? "system" : std::string(*role), std::move(*text)});
}

}  // namespace

std::optional<std::string> read_content(FieldReader& fields, JsonView content,
                                        const std::string& path, const config::Limits& limits,
                                        std::span<const std::string_view> part_types) {
    if (content.is(JsonKind::kString)) return std::string(content.as_string());
    const auto refuse = [&](const std::string& where, std::string message) {
        fields.refuse(bad_field(where, std::move(message)));
    };
    if (!content.is(JsonKind::kArray)) {
        refuse(path, fmt::format("'{}' is {}; a string or an array of text parts is expected.",
                                 path, content.describe()));
        return std::nullopt;
    }
    if (content.size() == 0 || content.size() > limits.content_parts) {
        refuse(path, fmt::format("'{}' has {} parts; 1 to {} are taken.", path, content.size(),
                                 limits.content_parts));
        return std::nullopt;
    }
    std::string text;
    size_t index = 0;
    content.for_items([&](JsonView part) {
        const std::string where = fmt::format("{}.{}", path, index);
        const auto type = part.find("type");
        const bool is_text =
            type && type->is(JsonKind::kString) &&
            std::find(part_types.begin(), part_types.end(), type->as_string()) != part_types.end();
        if (!is_text) {
            return refuse(
                where + ".type",
                fmt::format("'{}' is no text part; this server takes text alone.", where));
        }
        const auto piece = part.find("text");
        if (!piece || !piece->is(JsonKind::kString)) {
            return refuse(where + ".text",
                          fmt::format("'{}.text' is {}; a string is expected.", where,
                                      piece ? piece->describe() : "missing"));
        }
        if (index++ > 0) text += '\n';
        text += piece->as_string();
    });
    if (fields.failed()) return std::nullopt;
    return text;
}

void read_messages(FieldReader& fields, const config::Limits& limits, const MessageRules& rules,
                   engine::ChatInput& out) {
    if (!fields.has(rules.field)) {
        return fields.refuse(rules.field, fmt::format("'{}' is missing; an array of messages is "
                                                      "expected.",
                                                      rules.field));
    }
    const auto messages = fields.array(rules.field, 1, limits.messages);
    if (!messages) return;
    size_t index = 0;
    messages->for_items([&](JsonView message) {
        if (!fields.failed()) read_message(fields, message, index, limits, rules, out);
        ++index;
    });
}

void read_template_options(FieldReader& fields, engine::ChatInput& out) {
    using chat_template::Value;
    const auto generation = fields.flag("add_generation_prompt");
    if (generation) out.add_generation_prompt = *generation;
    out.continue_final_message = fields.flag("continue_final_message").value_or(false);
    if (const auto kwargs = fields.object("chat_template_kwargs")) {
        FieldReader reader(*kwargs, "chat_template_kwargs");
        for (const char* name : {"enable_thinking", "thinking"}) {
            if (const auto flag = reader.flag(name)) {
                out.variables.emplace_back(name, Value::boolean(*flag));
            }
        }
        if (const auto effort = reader.text("reasoning_effort", 32)) {
            out.variables.emplace_back("reasoning_effort", Value::user(std::string(*effort)));
        }
        if (const auto flag = reader.flag("add_generation_prompt")) {
            out.add_generation_prompt = *flag;
        }
        if (auto error = reader.finish(true)) fields.refuse(std::move(*error));
    }
    if (const auto effort = fields.text("reasoning_effort", 32)) {
        out.variables.emplace_back("reasoning_effort", Value::user(std::string(*effort)));
    }
    if (!out.continue_final_message) return;
    if (generation.value_or(false)) {
        fields.refuse("continue_final_message",
                      "'continue_final_message' and "
                      "'add_generation_prompt' exclude each other.");
    }
    if (!out.messages.empty() && out.messages.back().role != "assistant") {
        fields.refuse("continue_final_message",
                      "'continue_final_message' needs a last message of "
                      "the assistant.");
    }
}

std::optional<ApiError> encode_chat(const Service& service, const engine::ChatInput& input,
                                    engine::EncodedChat& out) {
    Result<engine::EncodedChat> encoded = engine::encode_chat(*service.model, input);
    if (encoded.ok()) {
        out = std::move(encoded).value();
        return std::nullopt;
    }
    const Error& error = encoded.error();
    const bool is_ours = error.code != Code::kInvalid && error.code != Code::kUnsupported;
    return ApiError{is_ours ? 500 : 400,
                    is_ours ? "server_error" : "invalid_request_error",
                    "template_error",
                    "messages",
                    is_ours
                        ? "The model's chat template failed on this conversation."
                        : fmt::format("The messages cannot be made a prompt: {}", error.message),
                    {}};
}

}  // namespace tenon::server
