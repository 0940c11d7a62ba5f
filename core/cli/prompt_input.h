// Lines of a conversation joined to prompts: one line is one prompt, unless it says that there is
// more.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tenon::cli {

// A line that begins with """ opens a prompt that the next """ at the end of a line closes. A
// backslash at the end of any other line joins the next one to it.
class PromptInput {
public:
    // The whole prompt, when `line` (without its newline) ends one.
    std::optional<std::string> take(std::string_view line);
    // Whether lines were taken that wait for their end.
    bool is_open() const noexcept { return is_block_ || is_continued_; }
    // Forgets them.
    void reset();

private:
    std::string text_;
    bool is_block_ = false;      // between quotes
    bool is_continued_ = false;  // the last line ended with a backslash
};

// "/set top_p 0.9" -> {"set", "top_p 0.9"}; nothing for what is no command: a text that begins with
// no slash, or with a path such as /etc/passwd.
struct Command {
    std::string name, rest;
};
std::optional<Command> find_command(std::string_view line);

}  // namespace tenon::cli
