#include "core/config/source_excerpt.h"

#include <algorithm>

namespace tenon::config {

namespace {

constexpr size_t kAround = 80;  // bytes of a long line on either side of the column

bool continues(char c) { return (static_cast<uint8_t>(c) & 0xc0) == 0x80; }

// Bytes of the UTF-8 character that `text` begins with; 0 when it is none.
size_t character_bytes(std::string_view text) {
    const auto first = static_cast<uint8_t>(text.front());
    if (first < 0x80) return 1;
    const size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || text.size() < bytes) return 0;
    for (size_t i = 1; i < bytes; ++i)
        if (!continues(text[i])) return 0;
    const auto second = static_cast<uint8_t>(text[1]);
    const bool overlong = (first == 0xe0 && second < 0xa0) || (first == 0xf0 && second < 0x90);
    const bool beyond = (first == 0xed && second > 0x9f) || (first == 0xf4 && second > 0x8f);
    return overlong || beyond ? 0 : bytes;
}

bool is_control(char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; }

}  // namespace

std::optional<BadByte> find_bad_byte(std::string_view text) {
    size_t line = 0, begin = 0;
    for (size_t at = 0; at < text.size();) {
        const char c = text[at];
        const size_t bytes = character_bytes(text.substr(at));
        if (bytes == 0 || (is_control(c) && c != '\t' && c != '\n' && c != '\r')) {
            return BadByte{static_cast<uint8_t>(c), line, at - begin};
        }
        at += bytes;
        if (c == '\n') {
            ++line;
            begin = at;
        }
    }
    return std::nullopt;
}

SourceExcerpt excerpt(std::string_view line, size_t column) {
    column = std::min(column, line.size());
    size_t begin = 0, end = line.size();
    if (line.size() > 2 * kAround) {
        begin = column > kAround ? column - kAround : 0;
        end = std::min(line.size(), begin + 2 * kAround);
        while (begin > 0 && begin < column && continues(line[begin]))
            ++begin;
    }
    SourceExcerpt shown;
    if (begin > 0) shown.text = "...";
    shown.cells = shown.text.size();
    for (size_t at = begin; at < end;) {
        const size_t bytes = character_bytes(line.substr(at));
        if (at < column) ++shown.cells;
        if (line[at] == '\t') {
            shown.text += ' ';
        } else if (bytes == 0 || is_control(line[at])) {
            if (line[at] == '\r' && at + 1 == line.size()) break;
            shown.text += '?';
        } else {
            shown.text += line.substr(at, bytes);
        }
        at += std::max<size_t>(bytes, 1);
    }
    if (end < line.size()) shown.text += "...";
    return shown;
}

}  // namespace tenon::config
