#include "backends/common/temporaries.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace tenon::common {
namespace {

TEST(Temporaries, NoneTakeNothing) {
    std::vector<Temporary> none;
    EXPECT_EQ(place_temporaries(none), 0u);
}

TEST(Temporaries, OneAfterTheOtherShareAPlace) {
    uint64_t at[2] = {7, 7};
    std::vector<Temporary> items = {{64, 0, 1, &at[0]}, {128, 2, 3, &at[1]}};
    EXPECT_EQ(place_temporaries(items), 128u);
    EXPECT_EQ(at[0], 0u);
    EXPECT_EQ(at[1], 0u);
}

TEST(Temporaries, TheLastUseAndTheFirstOneMeet) {
    uint64_t at[2] = {};
    std::vector<Temporary> items = {{64, 0, 2, &at[0]}, {128, 2, 3, &at[1]}};
    EXPECT_EQ(place_temporaries(items), 192u);
    EXPECT_EQ(at[1], 0u);  // the larger one comes first
    EXPECT_EQ(at[0], 128u);
}

TEST(Temporaries, AGapBelowIsFilled) {
    uint64_t at[4] = {};
    // 256 in use always; 192 early, above it; 128 late at the same place; 64 late too.
    std::vector<Temporary> items = {
        {256, 0, 9, &at[0]}, {192, 0, 4, &at[1]}, {128, 5, 9, &at[2]}, {64, 5, 9, &at[3]}};
    EXPECT_EQ(place_temporaries(items), 448u);
    EXPECT_EQ(at[2], 256u);
    EXPECT_EQ(at[3], 384u);
}

TEST(Temporaries, RandomOnesNeverOverlapAndStayInside) {
    std::mt19937 random(20);
    for (uint32_t round = 0; round < 200; ++round) {
        std::vector<uint64_t> at(1 + random() % 24);
        std::vector<Temporary> items;
        uint64_t sum = 0;
        for (uint64_t& place : at) {
            const uint32_t first = random() % 16;
            const uint32_t last = first + random() % 6;
            items.push_back({(1 + random() % 8) * 64, first, last, &place});
            sum += items.back().bytes;
        }
        const uint64_t total = place_temporaries(items);
        EXPECT_LE(total, sum);
        for (const Temporary& a : items) {
            EXPECT_LE(*a.at + a.bytes, total);
            EXPECT_EQ(*a.at % 64, 0u);
            for (const Temporary& b : items) {
                if (&a == &b || a.first > b.last || b.first > a.last) continue;
                EXPECT_TRUE(*a.at + a.bytes <= *b.at || *b.at + b.bytes <= *a.at);
            }
        }
    }
}

}  // namespace
}  // namespace tenon::common
