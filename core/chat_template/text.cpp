#include "core/chat_template/text.h"

#include <algorithm>
#include <cstring>

#include "core/chat_template/case_map.h"

namespace tenon::chat_template {

namespace {

constexpr uint32_t kBroken = 0x10FFFD + 0x10;

// Length of the well-formed sequence at `position`, 1 for a broken byte.
size_t sequence_length(std::string_view s, size_t position) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
    const unsigned char lead = byte(position);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    if (length == 0 || position + length > s.size()) return 1;
    for (size_t i = 1; i < length; ++i) {
        if ((byte(position + i) & 0xC0) != 0x80) return 1;
    }
    return length;
}

}  // namespace

Text Text::trusted(std::string bytes) {
    Text text;
    text.bytes_ = std::move(bytes);
    return text;
}

Text Text::user(std::string bytes) {
    Text text;
    text.bytes_ = std::move(bytes);
    text.mark(0, text.bytes_.size());
    return text;
}

void Text::mark(size_t begin, size_t end) {
    if (begin == end) return;
    if (!user_.empty() && user_.back().end == begin) {
        user_.back().end = end;
    } else {
        user_.push_back({begin, end});
    }
}

void Text::append(const Text& other, size_t begin, size_t end) {
    const size_t base = bytes_.size();
    bytes_.append(other.bytes_, begin, end - begin);
    auto span = std::lower_bound(other.user_.begin(), other.user_.end(), begin,
                                 [](const Span& s, size_t at) { return s.end <= at; });
    for (; span != other.user_.end() && span->begin < end; ++span) {
        const size_t from = std::max(span->begin, begin);
        const size_t to = std::min(span->end, end);
        mark(base + from - begin, base + to - begin);
    }
}

void Text::append_marked(std::string_view bytes, bool is_user) {
    const size_t base = bytes_.size();
    bytes_.append(bytes);
    if (is_user) mark(base, bytes_.size());
}

Text Text::slice(size_t begin, size_t end) const {
    Text out;
    if (begin < end) out.append(*this, begin, end);
    out.markup_ = markup_;
    return out;
}

bool Text::is_user_at(size_t position) const {
    auto span = std::lower_bound(user_.begin(), user_.end(), position,
                                 [](const Span& s, size_t at) { return s.end <= at; });
    return span != user_.end() && span->begin <= position;
}

size_t next_point(std::string_view bytes, size_t position) {
    return position + sequence_length(bytes, position);
}

uint32_t decode_point(std::string_view s, size_t position) {
    const auto byte = [&](size_t i) {
        return static_cast<uint32_t>(static_cast<unsigned char>(s[position + i]));
    };
    switch (sequence_length(s, position)) {
        case 2: return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
        case 3: return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
        case 4:
            return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
                   (byte(3) & 0x3F);
        default: return byte(0) < 0x80 ? byte(0) : kBroken;
    }
}

void encode_point(uint32_t point, std::string& out) {
    const auto put = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
    if (point < 0x80) {
        put(point);
    } else if (point < 0x800) {
        put(0xC0 | point >> 6);
        put(0x80 | (point & 0x3F));
    } else if (point < 0x10000) {
        put(0xE0 | point >> 12);
        put(0x80 | (point >> 6 & 0x3F));
        put(0x80 | (point & 0x3F));
    } else {
        put(0xF0 | point >> 18);
        put(0x80 | (point >> 12 & 0x3F));
        put(0x80 | (point >> 6 & 0x3F));
        put(0x80 | (point & 0x3F));
    }
}

size_t count_points(std::string_view bytes) {
    if (is_ascii(bytes)) return bytes.size();
    size_t count = 0;
    for (size_t i = 0; i < bytes.size(); i = next_point(bytes, i))
        ++count;
    return count;
}

size_t offset_of_point(std::string_view bytes, size_t points) {
    size_t offset = 0;
    while (points > 0 && offset < bytes.size()) {
        offset = next_point(bytes, offset);
        --points;
    }
    return offset;
}

bool is_ascii(std::string_view bytes) {
    return std::all_of(bytes.begin(), bytes.end(),
                       [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

bool is_space(uint32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 ||
           c == 0x202F || c == 0x205F || c == 0x3000;
}

Text strip(const Text& text, bool left, bool right, const std::string* chars) {
    const std::string& s = text.bytes();
    const auto strippable = [&](size_t at, size_t end) {
        if (chars == nullptr) return is_space(decode_point(s, at));
        const std::string_view point(s.data() + at, end - at);
        for (size_t i = 0; i < chars->size(); i = next_point(*chars, i)) {
            if (std::string_view(*chars).substr(i, next_point(*chars, i) - i) == point) return true;
        }
        return false;
    };
    size_t begin = 0;
    size_t end = s.size();
    while (left && begin < end && strippable(begin, next_point(s, begin))) {
        begin = next_point(s, begin);
    }
    while (right && end > begin) {
        size_t last = end - 1;
        while (last > begin && end - last < 4 &&
               (static_cast<unsigned char>(s[last]) & 0xC0) == 0x80)
            --last;
        if (next_point(s, last) != end) last = end - 1;
        if (!strippable(last, end)) break;
        end = last;
    }
    return text.slice(begin, end);
}

Text change_case(const Text& text, Case to) {
    const std::string& s = text.bytes();
    Text out;
    out.reserve(s.size());
    out.set_markup(text.markup());
    bool word_start = true;
    std::string mapped;
    for (size_t i = 0; i < s.size();) {
        const size_t next = next_point(s, i);
        const uint32_t point = decode_point(s, i);
        const bool upper = to == Case::kUpper || (to != Case::kLower && word_start);
        mapped.clear();
        if (point == kBroken) {
            mapped.assign(s, i, next - i);
        } else if (to == Case::kLower || !upper) {
            map_lower(point, mapped);
        } else if (to == Case::kUpper) {
            map_upper(point, mapped);
        } else {
            map_title(point, mapped);
        }
        out.append_marked(mapped, text.is_user_at(i));
        word_start = to == Case::kTitle ? !is_cased(point) : false;
        i = next;
    }
    return out;
}

size_t find_bytes(std::string_view hay, std::string_view needle, size_t from) {
    if (from > hay.size()) return std::string_view::npos;
    if (needle.empty()) return from;
    const void* hit = memmem(hay.data() + from, hay.size() - from, needle.data(), needle.size());
    if (hit == nullptr) return std::string_view::npos;
    return static_cast<size_t>(static_cast<const char*>(hit) - hay.data());
}

}  // namespace tenon::chat_template
