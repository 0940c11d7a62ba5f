#include "core/hub/part_list.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

TEST(PartList, HandsOutEachPieceOnce) {
    PartList parts(25, 10);
    ASSERT_EQ(parts.take(), 0u);
    ASSERT_EQ(parts.take(), 1u);
    ASSERT_EQ(parts.take(), 2u);
    EXPECT_FALSE(parts.take().has_value());
    parts.advance(0, 10);
    parts.advance(2, 100);  // the last one is 5 long
    parts.give_back(1);
    EXPECT_EQ(parts.done(), 15u);
    ASSERT_EQ(parts.take(), 1u);
    parts.advance(1, 4);
    EXPECT_EQ(parts.missing(1).begin, 14u);
    EXPECT_EQ(parts.missing(1).end, 20u);
    parts.advance(1, 6);
    EXPECT_TRUE(parts.is_done());
}

TEST(PartList, ComesBackFromItsText) {
    PartList parts(25, 10);
    parts.mark_prefix(13);
    const std::string text = parts.text("sha256:ab");
    const std::optional<PartList> again = PartList::parse(text, 25, "sha256:ab");
    ASSERT_TRUE(again.has_value());
    EXPECT_EQ(again->done(), 13u);
    EXPECT_EQ(again->missing(1).begin, 13u);
    EXPECT_FALSE(PartList::parse(text, 25, "sha256:cd").has_value());
    EXPECT_FALSE(PartList::parse(text, 26, "sha256:ab").has_value());
}

TEST(PartList, RefusesNonsense) {
    const std::string head = "tenon-parts 1\netag e\nsize 25\n";
    for (const char* rest :
         {"", "piece 0\ndone 0\n", "piece 10\ndone 1 2\n", "piece 10\ndone 1 2 3 4\n",
          "piece 10\ndone 11 0 0\n", "piece 10\ndone 0 0 6\n", "piece 10\ndone 0 x 0\n",
          "piece 10\ndone 0 0 0", "piece 99999999999999999999\ndone 0\n",
          "piece 10\ndone -1 0 0\n"}) {
        EXPECT_FALSE(PartList::parse(head + rest, 25, "e").has_value()) << rest;
    }
    EXPECT_TRUE(PartList::parse(head + "piece 10\ndone 0 0 5\n", 25, "e").has_value());
}

TEST(PartList, PlansPiecesForEverySize) {
    EXPECT_EQ(plan_piece(1, 4), 1u << 20);
    EXPECT_EQ(plan_piece(98362432, 4), (98362432u + 15) / 16);
    const uint64_t huge = uint64_t{1} << 45;
    EXPECT_LE(huge / plan_piece(huge, 4), PartList::kPiecesMax);
}

}  // namespace
}  // namespace tenon::hub
