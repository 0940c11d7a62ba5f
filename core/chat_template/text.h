// Text: UTF-8 bytes that remember which of them came from a user.
//
// Every operation keeps the marks on the bytes it moves, so a control token typed by a user can be
// told from the same bytes written by the template. Positions are byte offsets unless a name says
// `points` (code points, the unit of Python's strings). A broken UTF-8 byte counts as one point.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::chat_template {

// Half-open byte range.
struct Span {
    size_t begin = 0;
    size_t end = 0;
};

class Text {
public:
    Text() = default;
    // Text of the template, or of a caller who vouches for it.
    static Text trusted(std::string bytes);
    // Text of a user: every byte marked.
    static Text user(std::string bytes);

    const std::string& bytes() const noexcept { return bytes_; }
    size_t size() const noexcept { return bytes_.size(); }
    bool empty() const noexcept { return bytes_.empty(); }
    // Sorted, disjoint, never touching.
    const std::vector<Span>& user_spans() const noexcept { return user_; }
    // Escaped for HTML by a filter: jinja escapes what `+` joins to it.
    bool markup() const noexcept { return markup_; }
    void set_markup(bool markup) { markup_ = markup; }

    void append(std::string_view trusted_bytes) { bytes_.append(trusted_bytes); }
    void append(const Text& other) { append(other, 0, other.size()); }
    // Appends bytes [begin, end) of `other` with their marks.
    void append(const Text& other, size_t begin, size_t end);
    // Appends `bytes`, marked when `is_user`.
    void append_marked(std::string_view bytes, bool is_user);
    Text slice(size_t begin, size_t end) const;
    bool is_user_at(size_t position) const;
    void reserve(size_t bytes) { bytes_.reserve(bytes); }

private:
    void mark(size_t begin, size_t end);

    std::string bytes_;
    std::vector<Span> user_;
    bool markup_ = false;
};

// Offset behind the code point that starts at `position` (< bytes.size()).
size_t next_point(std::string_view bytes, size_t position);
// The code point at `position`, or a value above 0x10FFFF where the bytes are no UTF-8.
uint32_t decode_point(std::string_view bytes, size_t position);
void encode_point(uint32_t point, std::string& out);
size_t count_points(std::string_view bytes);
// Byte offset of code point number `points`; bytes.size() when there are fewer.
size_t offset_of_point(std::string_view bytes, size_t points);
bool is_ascii(std::string_view bytes);

// str.isspace() of Python for one code point.
bool is_space(uint32_t point);

// Trims as str.strip: `chars` empty means white space.
Text strip(const Text& text, bool left, bool right, const std::string* chars);

enum class Case { kUpper, kLower, kTitle, kCapitalize };
Text change_case(const Text& text, Case to);

// First occurrence of `needle` in bytes [from, end) in linear time, or npos.
size_t find_bytes(std::string_view hay, std::string_view needle, size_t from);

}  // namespace tenon::chat_template
