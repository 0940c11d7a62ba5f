#include "core/tokenizer/utf8.h"

#include <random>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

constexpr const char* kFffd = "\xEF\xBF\xBD";

std::string repaired(std::string_view bytes) {
    Utf8Stream stream;
    std::string out;
    stream.append(bytes, out);
    stream.flush(out);
    return out;
}

TEST(Utf8, KnowsWhatIsValid) {
    for (const char* text :
         {"", "plain", "é", "€", "\xF0\x9F\x98\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
          "\xF4\x8F\xBF\xBF", "\xF0\x90\x80\x80", "eight bytes é eight bytes"}) {
        EXPECT_TRUE(is_utf8(text)) << text;
    }
    for (const char* text : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80",
                             "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3",
                             "a\xE2\x82", "\xF0\x9F\x98", "\xFF", "12345678\x80"}) {
        EXPECT_FALSE(is_utf8(text)) << text;
    }
}

TEST(Utf8, CleansTextAsLlamaCppDoes) {
    const std::string r = kFffd;
    EXPECT_EQ(clean_text("a\x80z").bytes, "a" + r + "z");
    EXPECT_EQ(clean_text("\xE2\x82").bytes, r + r);  // a cut sequence, byte by byte
    EXPECT_EQ(clean_text("\xE2\x28\xA1").bytes, r + "(" + r);
    EXPECT_EQ(clean_text("\xC1\x81").bytes, "A");  // overlong comes out short
    EXPECT_EQ(clean_text(std::string("\xC0\x80")).bytes, std::string(1, '\0'));
    EXPECT_EQ(clean_text("\xF8\x88").bytes, r + r);
    EXPECT_EQ(clean_text("\xF4\x90\x80\x80").bytes, r + r + r + r);
}

TEST(Utf8, SurrogatesStayInBytesAndHideInTheSubject) {
    const CleanText clean = clean_text("x\xED\xA0\x80y");
    EXPECT_EQ(clean.bytes, "x\xED\xA0\x80y");
    EXPECT_EQ(clean.subject, "x\xEE\x80\x80y");
}

TEST(Utf8, TheSubjectIsValidAndAsLongAsTheBytes) {
    std::mt19937 random(7);
    const std::string palette =
        "ab \n\x80\xBF\xC0\xC1\xC3\xE0\xE2\xED\xEF\xA0\x9F\xF0\xF4\xF5\xF8\xFF";
    for (int i = 0; i < 20000; ++i) {
        std::string text(random() % 12, ' ');
        for (char& c : text)
            c = palette[random() % palette.size()];
        const CleanText clean = clean_text(text);
        ASSERT_TRUE(is_utf8(clean.subject));
        ASSERT_EQ(clean.subject.size(), clean.bytes.size());
        ASSERT_TRUE(is_utf8(repaired(text)));
        if (is_utf8(text)) {
            ASSERT_EQ(clean.bytes, text);
            ASSERT_EQ(clean.subject, text);
            ASSERT_EQ(repaired(text), text);
        }
    }
}

TEST(Utf8, ReplacesMaximalParts) {
    const std::string r = kFffd;
    EXPECT_EQ(repaired("\xF0\x9F\x98z"), r + "z");         // one part
    EXPECT_EQ(repaired("\xE0\x80\x80"), r + r + r);        // none of these begins anything
    EXPECT_EQ(repaired("\xF0\x9F\xE2\x82\xAC"), r + "€");  // broken by a good one
    EXPECT_EQ(repaired("a\xC3"), "a" + r);                 // unfinished
}

TEST(Utf8, AStreamDoesNotDependOnTheCuts) {
    std::mt19937 random(11);
    const std::string palette =
        "ab\x80\x82\xAC\xBF\xC3\xA9\xE0\xE2\xED\xA0\x90\xF0\x9F\x98\xF4\x8F\xFF";
    for (int i = 0; i < 20000; ++i) {
        std::string text(random() % 16, ' ');
        for (char& c : text)
            c = palette[random() % palette.size()];
        Utf8Stream stream;
        std::string out;
        for (size_t at = 0; at < text.size();) {
            const size_t n = 1 + random() % 3;
            std::string piece;
            stream.append(std::string_view(text).substr(at, n), piece);
            ASSERT_TRUE(is_utf8(piece));
            ASSERT_LE(stream.held(), 3u);
            out += piece;
            at += n;
        }
        stream.flush(out);
        ASSERT_EQ(out, repaired(text));
    }
}

}  // namespace
}  // namespace tenon::tokenizer
