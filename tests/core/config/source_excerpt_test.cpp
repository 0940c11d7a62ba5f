#include "core/config/source_excerpt.h"

#include <gtest/gtest.h>

namespace tenon::config {
namespace {

TEST(FindBadByte, SaysWhichAndWhere) {
    EXPECT_FALSE(
        find_bad_byte("a: b\r\n\tc: \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\n").has_value());
    const auto null = find_bad_byte(std::string_view("a\nb\0c", 5));
    ASSERT_TRUE(null.has_value());
    EXPECT_EQ(null->byte, 0);
    EXPECT_EQ(null->line, 1u);
    EXPECT_EQ(null->column, 1u);
    // A stray continuation, overlong forms, a surrogate, beyond U+10FFFF, a cut character.
    for (const char* text : {"\x80", "\xc0\xaf", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xed\xa0\x80",
                             "\xf4\x90\x80\x80", "\xe2\x82", "\xff", "\x1b", "\x7f"}) {
        const auto bad = find_bad_byte(text);
        ASSERT_TRUE(bad.has_value()) << text;
        EXPECT_EQ(bad->column, 0u);
        EXPECT_EQ(bad->byte, static_cast<uint8_t>(text[0]));
    }
}

TEST(Excerpt, CountsCharactersAndHidesWhatSteersATerminal) {
    const SourceExcerpt plain = excerpt("threads: x", 9);
    EXPECT_EQ(plain.text, "threads: x");
    EXPECT_EQ(plain.cells, 9u);
    const SourceExcerpt wide = excerpt("\xc3\xa9\xc3\xa9: x", 6);
    EXPECT_EQ(wide.cells, 4u);
    const SourceExcerpt hidden = excerpt(
        "\ta\x1b[31m\xff"
        "b\r",
        2);
    EXPECT_EQ(hidden.text, " a?[31m?b");
    EXPECT_EQ(hidden.cells, 2u);
    EXPECT_EQ(excerpt("abc", 99).cells, 3u);
    EXPECT_EQ(excerpt("", 0).text, "");
}

TEST(Excerpt, ShowsAPartOfALongLine) {
    const std::string line = std::string(500, 'a') + "X" + std::string(500, 'b');
    const SourceExcerpt shown = excerpt(line, 500);
    EXPECT_LE(shown.text.size(), 170u);
    EXPECT_EQ(shown.text[shown.cells], 'X');
    EXPECT_TRUE(shown.text.starts_with("...") && shown.text.ends_with("..."));
    std::string accents;
    for (int i = 0; i < 300; ++i)
        accents += "\xc3\xa9";
    const SourceExcerpt cut = excerpt(accents, 301);
    EXPECT_FALSE(find_bad_byte(cut.text).has_value());
    EXPECT_EQ(cut.text.find('?'), std::string::npos);
}

}  // namespace
}  // namespace tenon::config
