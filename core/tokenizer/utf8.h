// UTF-8 on both sides of the tokenizer: text that comes in broken, and bytes that come out in halves.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::tokenizer {

// Bytes of the character that begins with `lead`, as the first byte alone has it: 1 to 4; a byte that
// begins nothing counts as 1.
size_t length_by_lead(char lead) noexcept;

// One code point, decoded by the lead byte's length: overlong forms and surrogates pass.
struct CodePoint {
    uint32_t value = 0;
    size_t length = 0;  // bytes; 0: they form nothing up to 0x10FFFF
};
CodePoint decode_leniently(std::string_view text, size_t begin) noexcept;

void append_code_point(uint32_t code_point, std::string& out);

// Whether `text` is UTF-8 as RFC 3629 has it: no overlong form, surrogate or value over 0x10FFFF.
bool is_utf8(std::string_view text) noexcept;

// Text as the split rules and the merges see it. The two strings differ only where the text held
// surrogates (three bytes each): `subject` has U+E000 there, a neighbour in category C, because
// regular expressions of PCRE2 take valid UTF-8 alone.
struct CleanText {
    std::string bytes;
    std::string subject;
};

// Repairs text that is not UTF-8 the way the tokenizer of llama.cpp does, so that ids agree: sequences
// are decoded by the lead byte's length without looking for overlong forms, which come out in their
// short form; surrogates stay; a byte that begins no sequence becomes U+FFFD and the next byte is
// tried. Beyond it (llama.cpp throws there): a value over 0x10FFFF is four bytes that begin nothing.
CleanText clean_text(std::string_view text);

// Turns a stream of bytes into a stream of valid UTF-8: whole code points pass, an incomplete tail
// waits for its rest, and every maximal part of a broken sequence becomes one U+FFFD (the
// substitution that the Unicode standard, section 3.9, recommends). What comes out does not depend
// on where the input was cut. Thread-compatible.
class Utf8Stream {
public:
    void append(std::string_view bytes, std::string& out);
    // Ends the stream: a waiting tail becomes one U+FFFD. The object can be used again.
    void flush(std::string& out);
    // Bytes held back, at most 3.
    size_t held() const noexcept { return held_; }

private:
    char tail_[4] = {};
    size_t held_ = 0;
};

}  // namespace tenon::tokenizer
