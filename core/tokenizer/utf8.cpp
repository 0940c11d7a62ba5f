#include "core/tokenizer/utf8.h"

#include <cstring>

namespace tenon::tokenizer {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::string_view kPrivateUse = "\xEE\x80\x80";  // U+E000

uint8_t at(std::string_view text, size_t i) { return static_cast<uint8_t>(text[i]); }

// The bytes a second byte may have after `lead` (RFC 3629, table of section 4), and the sequence's
// length; length 0: `lead` begins nothing.
struct Lead {
    size_t length;
    uint8_t low, high;
};

Lead lead_of(uint8_t lead) noexcept {
    if (lead < 0x80) return {1, 0, 0};
    if (lead < 0xC2) return {0, 0, 0};
    if (lead < 0xE0) return {2, 0x80, 0xBF};
    if (lead == 0xE0) return {3, 0xA0, 0xBF};
    if (lead == 0xED) return {3, 0x80, 0x9F};
    if (lead < 0xF0) return {3, 0x80, 0xBF};
    if (lead == 0xF0) return {4, 0x90, 0xBF};
    if (lead < 0xF4) return {4, 0x80, 0xBF};
    if (lead == 0xF4) return {4, 0x80, 0x8F};
    return {0, 0, 0};
}

// Bytes from `at_byte` on that belong together: a whole code point (whole = true), or the longest
// part of a broken or unfinished one (at least 1).
struct Part {
    size_t length;
    bool whole;
    bool unfinished;  // right so far, but the text ends
};

Part part_at(std::string_view text, size_t begin) noexcept {
    const Lead lead = lead_of(at(text, begin));
    if (lead.length == 0) return {1, false, false};
    size_t n = 1;
    for (; n < lead.length; ++n) {
        if (begin + n >= text.size()) return {n, false, true};
        const uint8_t byte = at(text, begin + n);
        const bool fits = n == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
        if (!fits) return {n, false, false};
    }
    return {n, true, false};
}

// Where the run of ASCII that starts at `begin` ends.
size_t ascii_end(std::string_view text, size_t begin) noexcept {
    size_t i = begin;
    for (; i + 8 <= text.size(); i += 8) {
        uint64_t word;
        std::memcpy(&word, text.data() + i, 8);
        if (word & 0x8080808080808080ull) break;
    }
    while (i < text.size() && at(text, i) < 0x80)
        ++i;
    return i;
}

}  // namespace

size_t length_by_lead(char lead) noexcept {
    const auto byte = static_cast<uint8_t>(lead);
    return byte < 0xC0 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

void append_code_point(uint32_t cp, std::string& out) {
    if (cp < 0x80) {
        out.push_back(static_cast<char>(cp));
    } else if (cp < 0x800) {
        out.push_back(static_cast<char>(0xC0 | (cp >> 6)));
        out.push_back(static_cast<char>(0x80 | (cp & 0x3F)));
    } else if (cp < 0x10000) {
        out.push_back(static_cast<char>(0xE0 | (cp >> 12)));
        out.push_back(static_cast<char>(0x80 | ((cp >> 6) & 0x3F)));
        out.push_back(static_cast<char>(0x80 | (cp & 0x3F)));
    } else {
        out.push_back(static_cast<char>(0xF0 | (cp >> 18)));
        out.push_back(static_cast<char>(0x80 | ((cp >> 12) & 0x3F)));
        out.push_back(static_cast<char>(0x80 | ((cp >> 6) & 0x3F)));
        out.push_back(static_cast<char>(0x80 | (cp & 0x3F)));
    }
}

CodePoint decode_leniently(std::string_view text, size_t begin) noexcept {
    const uint8_t lead = at(text, begin);
    if (lead < 0x80) return {lead, 1};
    const size_t length = lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF8 ? 4 : 0;
    if (length == 0 || begin + length > text.size()) return {0, 0};
    uint32_t cp = lead & (0x7Fu >> length);
    for (size_t i = 1; i < length; ++i) {
        const uint8_t byte = at(text, begin + i);
        if ((byte & 0xC0) != 0x80) return {0, 0};
        cp = (cp << 6) | (byte & 0x3F);
    }
    if (cp > 0x10FFFF) return {0, 0};
    return {cp, length};
}

bool is_utf8(std::string_view text) noexcept {
    for (size_t i = ascii_end(text, 0); i < text.size();) {
        const Part part = part_at(text, i);
        if (!part.whole) return false;
        i += part.length;
        if (i < text.size() && at(text, i) < 0x80) i = ascii_end(text, i);
    }
    return true;
}

CleanText clean_text(std::string_view text) {
    CleanText clean;
    clean.bytes.reserve(text.size());
    clean.subject.reserve(text.size());
    for (size_t i = 0; i < text.size();) {
        const CodePoint d = decode_leniently(text, i);
        if (d.length == 0) {
            clean.bytes.append(kReplacement);
            clean.subject.append(kReplacement);
            i += 1;
            continue;
        }
        append_code_point(d.value, clean.bytes);
        if (d.value >= 0xD800 && d.value <= 0xDFFF) {
            clean.subject.append(kPrivateUse);
        } else {
            append_code_point(d.value, clean.subject);
        }
        i += d.length;
    }
    return clean;
}

void Utf8Stream::append(std::string_view bytes, std::string& out) {
    while (held_ > 0 && !bytes.empty()) {
        tail_[held_++] = bytes.front();
        bytes.remove_prefix(1);
        const Part part = part_at({tail_, held_}, 0);
        if (part.unfinished) continue;
        if (part.whole) {
            out.append(tail_, held_);
            held_ = 0;
            break;
        }
        // The new byte broke the sequence: the part before it is replaced, the byte is looked at anew.
        out.append(kReplacement);
        tail_[0] = tail_[held_ - 1];
        held_ = 1;
        const Part anew = part_at({tail_, 1}, 0);
        if (anew.unfinished) continue;
        out.append(anew.whole ? std::string_view(tail_, 1) : kReplacement);
        held_ = 0;
    }
    for (size_t i = 0; i < bytes.size();) {
        const size_t end = ascii_end(bytes, i);
        out.append(bytes.substr(i, end - i));
        i = end;
        if (i == bytes.size()) break;
        const Part part = part_at(bytes, i);
        if (part.unfinished) {
            held_ = bytes.copy(tail_, 3, i);
            break;
        }
        out.append(part.whole ? bytes.substr(i, part.length) : kReplacement);
        i += part.length;
    }
}

void Utf8Stream::flush(std::string& out) {
    if (held_ > 0) out.append(kReplacement);
    held_ = 0;
}

}  // namespace tenon::tokenizer
