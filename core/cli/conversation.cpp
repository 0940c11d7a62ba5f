#include "core/cli/conversation.h"

#include "core/base/json_writer.h"
#include "core/chat_template/json.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <unistd.h>

namespace tenon::cli {

namespace {

using chat_template::Value;

Result<std::string> read_content(const Value& content) {
    if (content.is_string()) return content.as_text().bytes();
    std::string text;
    if (content.is(Value::Kind::kList)) {
        for (const Value& part : content.as_list().items) {
            const Value* type = nullptr;
            const Value* piece = nullptr;
            if (part.is(Value::Kind::kDict)) {
                type = part.as_dict().find("type");
                piece = part.as_dict().find("text");
            }
            if (type == nullptr || !type->is_string() || type->as_text().bytes() != "text" ||
                piece == nullptr || !piece->is_string()) {
                return Error{Code::kInvalid, "content: expected parts of type text"};
            }
            text += piece->as_text().bytes();
        }
        return text;
    }
    return Error{Code::kInvalid,
                 fmt::format("content: expected a text, got {}", content.type_name())};
}

}  // namespace

std::vector<chat_template::Message> Conversation::messages() const {
    std::vector<chat_template::Message> all;
    if (!system.empty()) all.push_back({"system", system});
    all.insert(all.end(), turns.begin(), turns.end());
    return all;
}

std::string Conversation::to_json() const {
    std::string text = "{\"messages\": [";
    const char* separator = "\n";
    for (const chat_template::Message& message : messages()) {
        JsonWriter line;
        line.begin_object().field("role", message.role).field("content", message.content);
        line.end_object();
        text += separator + line.text();
        separator = ",\n";
    }
    return text + "\n]}\n";
}

Result<Conversation> parse_conversation(std::string_view json) {
    TENON_TRY(const Value root, chat_template::parse_json(json));
    const Value* list = &root;
    if (root.is(Value::Kind::kDict)) list = root.as_dict().find("messages");
    if (list == nullptr || !list->is(Value::Kind::kList)) {
        return Error{Code::kInvalid, "expected an object with a list of messages"};
    }
    Conversation read;
    size_t number = 0;
    for (const Value& message : list->as_list().items) {
        const std::string place = fmt::format("messages[{}]", number++);
        const Value* role = nullptr;
        const Value* content = nullptr;
        if (message.is(Value::Kind::kDict)) {
            role = message.as_dict().find("role");
            content = message.as_dict().find("content");
        }
        if (role == nullptr || !role->is_string() || content == nullptr) {
            return Error{Code::kInvalid, place + ": expected an object with role and content"};
        }
        Result<std::string> text = read_content(*content);
        if (!text.ok()) return std::move(text).error().within(place);
        const std::string& name = role->as_text().bytes();
        if (name == "system" || name == "developer") {
            if (number != 1) {
                return Error{Code::kInvalid, place + ": a system message must be the first"};
            }
            read.system = std::move(*text);
        } else if (name == "user" || name == "assistant") {
            read.turns.push_back({name, std::move(*text)});
        } else {
            return Error{Code::kInvalid,
                         fmt::format("{}: expected the role system, user or assistant, got '{}'",
                                     place, name)};
        }
    }
    return read;
}

Status write_file(const std::string& path, std::string_view text) {
    const std::string draft = fmt::format("{}.{}", path, getpid());
    const auto failed = [&] {
        const std::string why = std::strerror(errno);
        std::remove(draft.c_str());
        return Error{Code::kInvalid, fmt::format("{} cannot be written: {}", path, why)};
    };
    std::FILE* file = std::fopen(draft.c_str(), "wbe");
    if (file == nullptr) return failed();
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
    if (std::fclose(file) != 0 || !written) return failed();
    if (std::rename(draft.c_str(), path.c_str()) != 0) return failed();
    return {};
}

}  // namespace tenon::cli
