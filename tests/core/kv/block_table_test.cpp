#include "core/kv/block_table.h"

#include <gtest/gtest.h>

namespace tenon::kv {
namespace {

TEST(BlockTable, MapsPositionsToSlotsOfItsBlocks) {
    BlockPool pool(8, 11);
    BlockTable table(pool, 4);
    ASSERT_TRUE(table.grow(10).ok());
    EXPECT_EQ(table.blocks().size(), 3u);
    for (uint32_t p = 0; p < 10; ++p) {
        EXPECT_EQ(table.slot(p), table.blocks()[p / 4] * 4 + static_cast<int32_t>(p % 4));
    }
}

TEST(BlockTable, KeepsWhatItHadWhenThePoolRunsOut) {
    BlockPool pool(3);
    BlockTable table(pool, 4);
    ASSERT_TRUE(table.grow(5).ok());
    EXPECT_FALSE(table.grow(17).ok());
    EXPECT_EQ(table.blocks().size(), 2u);
    EXPECT_EQ(pool.free_count(), 1u);
}

TEST(BlockTable, GivesEveryBlockBack) {
    BlockPool pool(6);
    {
        BlockTable table(pool, 2);
        ASSERT_TRUE(table.grow(9).ok());
        table.truncate(3);
        EXPECT_EQ(pool.free_count(), 4u);
        BlockTable moved = std::move(table);
        EXPECT_EQ(moved.blocks().size(), 2u);
    }
    EXPECT_EQ(pool.free_count(), 6u);
}

TEST(BlockTable, BorrowedBlocksAreNeverGivenBack) {
    BlockPool pool(8);
    const int32_t first = pool.take().value(), second = pool.take().value();
    {
        BlockTable table(pool, 4);
        table.borrow(std::vector<int32_t>{first, second});
        EXPECT_EQ(table.borrowed(), 2u);
        ASSERT_TRUE(table.grow(13).ok());
        EXPECT_EQ(table.owned(), 2u);
        EXPECT_EQ(table.slot(5), second * 4 + 1);
        BlockTable moved = std::move(table);
        EXPECT_EQ(table.borrowed(), 0u);
        table = std::move(moved);
        EXPECT_EQ(table.borrowed(), 2u);
        table.truncate(3);  // below the borrowed length: forgets one
        EXPECT_EQ(table.blocks(), std::vector<int32_t>{first});
        EXPECT_EQ(table.borrowed(), 1u);
        EXPECT_EQ(pool.free_count(), 6u);
        ASSERT_TRUE(table.grow(8).ok());
        EXPECT_EQ(table.owned(), 1u);
    }
    EXPECT_EQ(pool.free_count(), 6u);
    EXPECT_EQ(pool.misuses(), 0u);
}

TEST(BlockTable, BorrowingTakesThePlaceOfOwnBlocks) {
    BlockPool pool(8);
    const int32_t foreign = pool.take().value();
    BlockTable table(pool, 4);
    ASSERT_TRUE(table.grow(12).ok());
    const std::vector<int32_t> own = table.blocks();
    table.borrow(std::vector<int32_t>{foreign, own[1]});  // one duplicate, one handed over
    EXPECT_EQ(table.blocks(), (std::vector<int32_t>{foreign, own[1], own[2]}));
    EXPECT_EQ(table.owned(), 1u);
    EXPECT_TRUE(pool.is_free(own[0]));
    EXPECT_FALSE(pool.is_free(own[1]));
    table.borrow(std::vector<int32_t>{foreign});  // shorter: the second stays borrowed
    EXPECT_EQ(table.borrowed(), 2u);
    table.borrow({});
    EXPECT_EQ(table.borrowed(), 2u);
    table.truncate(0);
    EXPECT_EQ(pool.free_count(), 6u);
    EXPECT_EQ(pool.misuses(), 0u);
}

}  // namespace
}  // namespace tenon::kv
