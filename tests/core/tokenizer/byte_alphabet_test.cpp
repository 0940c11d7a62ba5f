#include "core/tokenizer/byte_alphabet.h"

#include <set>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

std::string spelled(uint8_t byte) {
    std::string out;
    append_spelling(byte, out);
    return out;
}

std::string bytes_of(std::string_view text) {
    std::string out;
    append_bytes(text, out);
    return out;
}

TEST(ByteAlphabet, SpellsKnownBytes) {
    EXPECT_EQ(spelled('a'), "a");
    EXPECT_EQ(spelled(' '), "Ġ");
    EXPECT_EQ(spelled('\n'), "Ċ");
    EXPECT_EQ(spelled(0), "Ā");
    EXPECT_EQ(spelled(0xAD), "Ń");
    EXPECT_EQ(spelled(0xFF), "ÿ");
}

TEST(ByteAlphabet, EveryByteHasItsOwnSpellingAndComesBack) {
    std::set<std::string> seen;
    for (int byte = 0; byte < 256; ++byte) {
        const std::string text = spelled(static_cast<uint8_t>(byte));
        EXPECT_TRUE(seen.insert(text).second) << byte;
        EXPECT_EQ(bytes_of(text), std::string(1, static_cast<char>(byte)));
    }
}

TEST(ByteAlphabet, WhatIsOutsideStandsForItself) {
    EXPECT_EQ(bytes_of("Ġ€x"), " €x");            // U+20AC
    EXPECT_EQ(bytes_of("\xC5\x84"), "\xC5\x84");  // U+0144, one past the alphabet
    EXPECT_EQ(bytes_of("a\xC4"), "a\xC4");        // cut short
    EXPECT_EQ(bytes_of("\xFF\x80"), "\xFF\x80");
}

}  // namespace
}  // namespace tenon::tokenizer
