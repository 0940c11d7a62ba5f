// A place in a text, shown to a person: the line, safe for a terminal, and the cell of a caret.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::config {

// The first byte that no text file has: a control character other than tab, LF and CR, or one that
// is not UTF-8. Line and column count from zero, columns in bytes.
struct BadByte {
    uint8_t byte = 0;
    size_t line = 0, column = 0;
};
std::optional<BadByte> find_bad_byte(std::string_view text);

struct SourceExcerpt {
    std::string text;  // at most about 160 bytes around the column; what does not print is '?'
    size_t cells = 0;  // characters of `text` before the column
};
// `column` in bytes from zero; one behind the end means the end.
SourceExcerpt excerpt(std::string_view line, size_t column);

}  // namespace tenon::config
