#include "core/cli/table.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

TEST(Table, AlignsByCharactersAndTrimsEnds) {
    Table table({"A", "LONG", "C"});
    table.row({"\xc3\xa9\xc3\xa9", "x", "end"});
    table.row({"b", "", ""});
    EXPECT_EQ(table.text(),
              "A   LONG  C\n"
              "\xc3\xa9\xc3\xa9  x     end\n"
              "b\n");
}

TEST(Table, NothingInItSteersATerminal) {
    Table table({"A"});
    table.row({"\x1b[31mred\x07\n\xff"});
    EXPECT_EQ(table.text(), "A\n?[31mred? ?\n");
    EXPECT_EQ(printable("a\tb\r\x7f"), "a b ?");
}

TEST(SizeText, TakesTheLargestUnit) {
    EXPECT_EQ(size_text(0), "-");
    EXPECT_EQ(size_text(1023), "1023 B");
    EXPECT_EQ(size_text(1536), "1.5 KiB");
    EXPECT_EQ(size_text(3ull << 30), "3.0 GiB");
}

}  // namespace
}  // namespace tenon::cli
