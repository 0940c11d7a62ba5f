// Cases made by tests/golden/chat_template/make.py: a template, a context, what jinja2 made of them.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <istream>
#include <iterator>
#include <string>

#include "core/chat_template/json.h"
#include "core/chat_template/template.h"

namespace tenon::chat_template::testing {

inline std::string get_string(const Value& dict, std::string_view key) {
    const Value* found = dict.as_dict().find(key);
    return found != nullptr && found->is_string() ? found->as_text().bytes() : std::string();
}

// Friday 26 July 2024, 13:05:09: the clock of reference.py.
inline std::tm reference_now() {
    std::tm now{};
    now.tm_year = 124;
    now.tm_mon = 6;
    now.tm_mday = 26;
    now.tm_wday = 5;
    now.tm_yday = 207;
    now.tm_hour = 13;
    now.tm_min = 5;
    now.tm_sec = 9;
    return now;
}

// The template of a case: written into it, or a file of tests/golden/chat_template/templates.
inline std::string source_of(const Value& entry) {
    if (entry.as_dict().find("source") != nullptr) return get_string(entry, "source");
    std::ifstream file(TENON_SOURCE_DIR "/tests/golden/chat_template/templates/" +
                       get_string(entry, "template") + ".jinja");
    return {std::istreambuf_iterator<char>(file), {}};
}

inline Result<Rendered> render_case(const Value& entry) {
    TENON_TRY(const ChatTemplate made, ChatTemplate::parse(source_of(entry)));
    RenderOptions options;
    options.now = reference_now();
    Value messages;
    for (const auto& [key, value] : entry.as_dict().find("context")->as_dict().items) {
        const std::string& name = key.as_text().bytes();
        if (name == "messages") {
            messages = value;
        } else if (name == "bos_token" || name == "eos_token") {
            (name == "bos_token" ? options.bos_token : options.eos_token) = value.as_text().bytes();
        } else if (name == "tools") {
            options.tools = value;
        } else {
            options.variables.emplace_back(name, value);
        }
    }
    return made.render(messages, options);
}

// Compares every line of `in`; returns how many there were.
inline size_t check_cases(std::istream& in) {
    size_t count = 0;
    for (std::string line; std::getline(in, line); ++count) {
        const auto entry = parse_json(line);
        EXPECT_TRUE(entry.ok()) << entry.error().message << "\n" << line.substr(0, 400);
        if (!entry.ok()) continue;
        const auto got = render_case(*entry);
        const Value* text = entry->as_dict().find("text");
        if (text == nullptr) {
            EXPECT_FALSE(got.ok()) << "jinja2 refuses: " << get_string(*entry, "error") << "\n"
                                   << line.substr(0, 600) << "\ngot: " << got->text;
        } else {
            EXPECT_TRUE(got.ok()) << got.error().message << "\n" << line.substr(0, 600);
            EXPECT_EQ(got.ok() ? got->text : std::string(), text->as_text().bytes())
                << line.substr(0, 600);
        }
    }
    return count;
}

}  // namespace tenon::chat_template::testing
