#include "core/kv/block_pool.h"

#include <gtest/gtest.h>

#include <set>

namespace tenon::kv {
namespace {

TEST(BlockPool, HandsOutEachBlockOnceAndThenRefuses) {
    for (const uint64_t seed : {uint64_t{0}, uint64_t{7}}) {
        BlockPool pool(5, seed);
        std::set<int32_t> seen;
        for (int i = 0; i < 5; ++i)
            seen.insert(pool.take().value());
        EXPECT_EQ(seen, (std::set<int32_t>{0, 1, 2, 3, 4}));
        const Result<int32_t> sixth = pool.take();
        ASSERT_FALSE(sixth.ok());
        EXPECT_EQ(sixth.error().code, Code::kOomDevice);
        EXPECT_EQ(sixth.error().message, "all 5 KV blocks are in use; wanted one more");
    }
}

TEST(BlockPool, StartsInOrderWithoutASeedAndShuffledWithOne) {
    BlockPool plain(64);
    BlockPool shuffled(64, 3);
    int moved = 0;
    for (int i = 0; i < 64; ++i) {
        EXPECT_EQ(plain.take().value(), i);
        moved += shuffled.take().value() != i;
    }
    EXPECT_GT(moved, 32);
}

TEST(BlockPool, CountsBlocksThatWereNotOutAndKeepsItsList) {
    BlockPool pool(3);
    const int32_t block = pool.take().value();
    EXPECT_FALSE(pool.is_free(block));
    pool.give_back(block);
    EXPECT_TRUE(pool.is_free(block));
    pool.give_back(block);
    pool.give_back(-1);
    pool.give_back(3);
    EXPECT_FALSE(pool.is_free(3));
    EXPECT_EQ(pool.misuses(), 3u);
    EXPECT_EQ(pool.free_count(), 3u);
}

}  // namespace
}  // namespace tenon::kv
