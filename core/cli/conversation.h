// A conversation: what was said, as a list of OpenAI messages in a file.
#pragma once

#include "core/base/result.h"
#include "core/chat_template/template.h"

#include <string>
#include <string_view>
#include <vector>

namespace tenon::cli {

struct Conversation {
    std::string system;                         // empty: none
    std::vector<chat_template::Message> turns;  // user and assistant, no system message

    // With the system message in front.
    std::vector<chat_template::Message> messages() const;
    // {"messages": [{"role": ..., "content": ...}, ...]}, a message a line.
    std::string to_json() const;
};

// The same object, or the list alone. Content is a text, or a list of parts of type text. A system or
// developer message comes first, if at all. The sentence names the message that is wrong.
Result<Conversation> parse_conversation(std::string_view json);

// Whole or not at all: written beside it first, then renamed.
Status write_file(const std::string& path, std::string_view text);

}  // namespace tenon::cli
