#include "core/cli/prompt_input.h"

#include <algorithm>

namespace tenon::cli {

namespace {

constexpr std::string_view kQuotes = "\"\"\"";
constexpr std::string_view kSpaces = " \t";

std::string_view trimmed(std::string_view text) {
    const size_t begin = text.find_first_not_of(kSpaces);
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(kSpaces) - begin + 1);
}

}  // namespace

void PromptInput::reset() {
    text_.clear();
    is_block_ = is_continued_ = false;
}

std::optional<std::string> PromptInput::take(std::string_view line) {
    if (!is_open() && line.starts_with(kQuotes)) {
        line.remove_prefix(kQuotes.size());
        is_block_ = true;
    }
    if (is_block_) {
        const bool ends = trimmed(line).ends_with(kQuotes);
        if (ends) line = line.substr(0, line.rfind(kQuotes));
        text_ += line;
        if (!ends) {
            // The line of the opening quotes itself is no line of the prompt when it is empty.
            if (!text_.empty()) text_ += '\n';
            return std::nullopt;
        }
    } else {
        is_continued_ = line.ends_with('\\');
        if (is_continued_) line.remove_suffix(1);
        text_ += line;
        if (is_continued_) {
            text_ += '\n';
            return std::nullopt;
        }
    }
    std::string whole = std::move(text_);
    reset();
    return whole;
}

std::optional<Command> find_command(std::string_view line) {
    line = trimmed(line);
    if (line.size() < 2 || line.front() != '/') return std::nullopt;
    const size_t end = std::min(line.find_first_of(kSpaces), line.size());
    const std::string_view name = line.substr(1, end - 1);
    if (name.empty() || !std::all_of(name.begin(), name.end(),
                                     [](char c) { return (c >= 'a' && c <= 'z') || c == '?'; })) {
        return std::nullopt;
    }
    return Command{std::string(name), std::string(trimmed(line.substr(end)))};
}

}  // namespace tenon::cli
