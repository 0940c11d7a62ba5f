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

} // namespace
} // namespace tenon::kv
