// The spelling of bytes that byte-level vocabularies use: every byte is one printable code point.
//
// Bytes 0x21-0x7E, 0xA1-0xAC and 0xAE-0xFF are the code point of the same number; the other 68, in
// order, are U+0100, U+0101 and so on. So a space is "Ġ" (U+0120) and a line feed "Ċ" (U+010A).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::tokenizer {

// Appends the spelling of `byte` (one or two bytes of UTF-8) to `out`.
void append_spelling(uint8_t byte, std::string& out);

// Appends the bytes that `spelled` stands for. A code point outside the alphabet, or a byte that is
// not UTF-8, stands for itself.
void append_bytes(std::string_view spelled, std::string& out);

}  // namespace tenon::tokenizer
