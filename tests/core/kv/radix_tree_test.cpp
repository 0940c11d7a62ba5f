#include "core/kv/radix_tree.h"

#include "core/kv/block_table.h"

#include <gtest/gtest.h>

#include <numeric>

namespace tenon::kv {
namespace {

using Ids = std::vector<int32_t>;

// `blocks` blocks of 4 tokens; each block's tokens all equal its entry.
Ids prompt(const Ids& blocks, uint32_t extra = 0) {
    Ids tokens;
    for (const int32_t block : blocks)
        tokens.insert(tokens.end(), 4, block);
    tokens.insert(tokens.end(), extra, -1);
    return tokens;
}

struct Radix : testing::Test {
    Ids take(size_t count) {
        Ids blocks;
        for (size_t i = 0; i < count; ++i)
            blocks.push_back(pool.take().value());
        return blocks;
    }
    // Inserts fresh blocks of which the tree takes all but the existing ones.
    RadixTree::Inserted put(RadixTree& into, const Ids& names, std::string_view space = "") {
        const Ids blocks = take(names.size());
        const auto done = into.insert(space, prompt(names), blocks);
        for (uint32_t i = 0; i < done.existing_blocks; ++i)
            pool.give_back(blocks[i]);
        EXPECT_EQ(into.check(), "");
        return done;
    }
    uint32_t hits(const RadixTree& into, const Ids& names, std::string_view space = "") {
        return into.peek(space, prompt(names, 1)) / 4;
    }

    BlockPool pool{64};
    RadixTree tree{pool, {4, Eviction::kLru}};
};

TEST_F(Radix, FindsTheLongestPrefixOfWholeBlocks) {
    const Ids blocks = take(3);
    EXPECT_EQ(tree.insert("", prompt({1, 2, 3}), blocks).existing_blocks, 0u);
    const RadixMatch match = tree.match("", prompt({1, 2, 9}));
    EXPECT_EQ(match.blocks, (Ids{blocks[0], blocks[1]}));
    EXPECT_EQ(tree.blocks_of(match.node), match.blocks);
    EXPECT_EQ(tree.stats().splits, 1u);
    EXPECT_EQ(tree.stats().hit_blocks, 2u);
    EXPECT_EQ(tree.match("", prompt({7, 1})).blocks, Ids{});
    EXPECT_EQ(tree.check(), "");
}

TEST_F(Radix, LeavesOneTokenToCompute) {
    put(tree, {1, 2});
    EXPECT_EQ(tree.match("", prompt({1, 2})).blocks.size(), 1u);
    EXPECT_EQ(tree.match("", prompt({1, 2}, 1)).blocks.size(), 2u);
    EXPECT_EQ(tree.match("", prompt({1})).blocks.size(), 0u);
    EXPECT_EQ(tree.match("", {}).blocks.size(), 0u);
    EXPECT_EQ(tree.peek("", prompt({1, 2})), 4u);
    EXPECT_EQ(tree.peek("", prompt({1, 2}, 1)), 8u);
}

TEST_F(Radix, SplitsAtBlockBoundariesOnly) {
    put(tree, {1, 2, 3});
    Ids close = prompt({1, 2, 3}, 1);
    close[6] = 77;  // inside the second block
    EXPECT_EQ(tree.match("", close).blocks.size(), 1u);
    EXPECT_EQ(tree.stats().nodes, 2u);
    EXPECT_EQ(tree.check(), "");
}

TEST_F(Radix, CachesNoIncompleteBlock) {
    const Ids blocks = take(2);
    const auto done = tree.insert("", prompt({1}, 3), blocks);
    EXPECT_EQ(tree.blocks_of(done.node), Ids{blocks[0]});
    EXPECT_EQ(tree.stats().evictable_blocks, 1u);
    EXPECT_EQ(tree.insert("", prompt({}, 3), take(1)).existing_blocks, 0u);
    EXPECT_EQ(tree.stats().evictable_blocks, 1u);
}

TEST_F(Radix, ReportsWhatItHeldAndLeavesDuplicatesToTheCaller) {
    const Ids first = take(2), second = take(3);
    tree.insert("", prompt({1, 2}), first);
    const auto done = tree.insert("", prompt({1, 2, 3}), second);
    EXPECT_EQ(done.existing_blocks, 2u);
    EXPECT_EQ(tree.blocks_of(done.node), (Ids{first[0], first[1], second[2]}));
    EXPECT_EQ(tree.insert("", prompt({1}), second).existing_blocks, 1u);
    pool.give_back(second[0]);
    pool.give_back(second[1]);
    tree.clear();
    EXPECT_EQ(pool.free_count(), 64u);
    EXPECT_EQ(pool.misuses(), 0u);
}

TEST_F(Radix, InsertsSiblingsBesideEachOther) {
    put(tree, {1, 2, 3});
    EXPECT_EQ(put(tree, {1, 5, 6}).existing_blocks, 1u);
    EXPECT_EQ(put(tree, {1, 7}).existing_blocks, 1u);
    EXPECT_EQ(hits(tree, {1, 2, 3}), 3u);
    EXPECT_EQ(hits(tree, {1, 5, 6}), 3u);
    EXPECT_EQ(hits(tree, {1, 7, 3}), 2u);
    EXPECT_EQ(tree.stats().nodes, 4u);
}

TEST_F(Radix, KeepsSpacesApart) {
    put(tree, {1, 2}, "a");
    EXPECT_EQ(hits(tree, {1, 2}, "b"), 0u);
    EXPECT_EQ(tree.match("b", prompt({1, 2}, 1)).blocks, Ids{});
    EXPECT_EQ(put(tree, {1, 2}, "b").existing_blocks, 0u);
    EXPECT_EQ(hits(tree, {1, 2}, "a"), 2u);
    EXPECT_EQ(tree.stats().evictable_blocks, 4u);
}

TEST_F(Radix, NestsLocksUpToTheRoot) {
    put(tree, {1, 2, 3});
    RadixNode* const deep = tree.match("", prompt({1, 2, 3}, 1)).node;
    tree.lock(deep);
    EXPECT_EQ(tree.stats().protected_blocks, 3u);
    RadixNode* const high = tree.match("", prompt({1, 9})).node;  // splits a locked node
    EXPECT_EQ(tree.check(), "");
    EXPECT_EQ(tree.blocks_of(deep).size(), 3u);  // the address held is still the deeper end
    tree.lock(high);
    tree.lock(deep);
    tree.unlock(deep);
    EXPECT_EQ(tree.stats().protected_blocks, 3u);
    tree.unlock(deep);
    EXPECT_EQ(tree.stats().protected_blocks, 1u);
    EXPECT_EQ(tree.stats().evictable_blocks, 2u);
    EXPECT_EQ(tree.check(), "");
    EXPECT_EQ(tree.clear(), 2u);
    EXPECT_EQ(hits(tree, {1, 2, 3}), 1u);
    tree.unlock(high);
    EXPECT_EQ(tree.stats().protected_blocks, 0u);
    EXPECT_EQ(tree.check(), "");
}

TEST_F(Radix, TellsWhatALockWouldTakeAndWhatAnUnlockWouldFree) {
    put(tree, {1, 2, 3});
    const auto sees = [&](const Ids& names) {
        const RadixTree::Peek peek = tree.look("", prompt(names, 1));
        return std::pair(peek.tokens / 4, peek.evictable_blocks);
    };
    EXPECT_EQ(sees({1, 2, 3}), (std::pair(3u, 3u)));
    EXPECT_EQ(sees({1, 2, 9}), (std::pair(2u, 2u)));
    EXPECT_EQ(sees({8}), (std::pair(0u, 0u)));
    const uint64_t changes = tree.stats().changes;
    RadixNode* const head = tree.match("", prompt({1, 9})).node;
    RadixNode* const tail = tree.match("", prompt({1, 2, 3, 9})).node;
    tree.lock(head);
    EXPECT_GT(tree.stats().changes, changes);
    EXPECT_EQ(sees({1, 2, 3}), (std::pair(3u, 2u)));
    EXPECT_EQ(tree.sole_blocks(head), 1u);
    tree.lock(tail);
    EXPECT_EQ(sees({1, 2, 3}), (std::pair(3u, 0u)));
    EXPECT_EQ(tree.sole_blocks(tail), 2u);
    EXPECT_EQ(tree.sole_blocks(head), 0u);
    tree.unlock(head);
    EXPECT_EQ(tree.sole_blocks(tail), 3u);
    EXPECT_EQ(tree.sole_blocks(nullptr), 0u);
    tree.unlock(tail);
}

TEST_F(Radix, LocksWhereNothingMatched) {
    RadixNode* const unknown = tree.match("x", prompt({1, 2})).node;
    tree.lock(unknown);
    put(tree, {1, 2}, "y");
    RadixNode* const root = tree.match("y", prompt({3, 2})).node;
    tree.lock(root);
    EXPECT_EQ(tree.stats().protected_blocks, 0u);
    EXPECT_EQ(tree.clear(), 2u);
    EXPECT_EQ(tree.blocks_of(root), Ids{});
    tree.unlock(root);
    tree.unlock(unknown);
    EXPECT_EQ(tree.check(), "");
}

TEST_F(Radix, NoticesAnUnlockWithoutALock) {
    RadixNode* const node = put(tree, {1}).node;
    tree.unlock(node);
    EXPECT_EQ(tree.stats().evictable_blocks, 1u);
    EXPECT_EQ(tree.check(), "1 unlocks had no lock");
}

TEST_F(Radix, EvictsTheLeastRecentlyUsedLeafFromItsEnd) {
    put(tree, {1, 2, 3});
    put(tree, {1, 4});
    put(tree, {5, 6});
    tree.match("", prompt({1, 2, 3}, 1));
    EXPECT_EQ(tree.evict(1), 1u);  // of {1, 4}
    EXPECT_EQ(hits(tree, {1, 4}), 1u);
    EXPECT_EQ(tree.evict(1), 1u);
    EXPECT_EQ(hits(tree, {5, 6}), 1u);
    EXPECT_EQ(tree.check(), "");
    EXPECT_EQ(tree.evict(3), 3u);  // the rest of {5, 6}, then the tail of {1, 2, 3}
    EXPECT_EQ(hits(tree, {1, 2, 3}), 1u);
    EXPECT_EQ(tree.evict(9), 1u);
    EXPECT_EQ(tree.evict(9), 0u);
    EXPECT_EQ(pool.free_count(), 64u);
    EXPECT_EQ(tree.stats().nodes, 0u);
    EXPECT_EQ(tree.stats().evicted_blocks, 6u);
}

TEST_F(Radix, AnUnlockIsAUse) {
    RadixNode* const first = put(tree, {1}).node;
    tree.lock(first);
    put(tree, {2});
    tree.unlock(first);
    tree.evict(1);
    EXPECT_EQ(hits(tree, {1}), 1u);
    EXPECT_EQ(hits(tree, {2}), 0u);
}

TEST_F(Radix, NeverEvictsALockedPath) {
    put(tree, {1, 2});
    RadixNode* const node = put(tree, {1, 3}).node;
    tree.lock(node);
    EXPECT_EQ(tree.evict(100), 1u);
    EXPECT_EQ(hits(tree, {1, 3}), 2u);
    tree.unlock(node);
    EXPECT_EQ(tree.evict(100), 2u);
}

TEST_F(Radix, SlruKeepsLeavesHitTwice) {
    RadixTree slru(pool, {4, Eviction::kSlru});
    put(slru, {1});
    slru.match("", prompt({1}, 1));
    slru.match("", prompt({1}, 1));
    put(slru, {2});
    slru.match("", prompt({2}, 1));
    put(slru, {3});
    EXPECT_EQ(slru.evict(2), 2u);
    EXPECT_EQ(hits(slru, {1}), 1u);
    EXPECT_EQ(slru.check(), "");
    put(tree, {1});
    tree.match("", prompt({1}, 1));
    tree.match("", prompt({1}, 1));
    put(tree, {2});
    tree.evict(1);
    EXPECT_EQ(hits(tree, {1}), 0u);  // LRU does not care
}

TEST_F(Radix, ServesPromptsThatDifferInOneToken) {
    for (int32_t i = 0; i < 32; ++i)
        put(tree, {100, i});
    for (int32_t i = 0; i < 32; ++i)
        EXPECT_EQ(hits(tree, {100, i}), 2u) << i;
    EXPECT_EQ(tree.stats().nodes, 33u);
    EXPECT_EQ(pool.free_count(), 31u);
}

TEST_F(Radix, GivesEveryBlockBackWhenDestroyed) {
    {
        RadixTree other(pool, {4, Eviction::kLru});
        RadixNode* const node = put(other, {1, 2}).node;
        put(other, {1, 3}, "space");
        other.lock(node);
    }
    EXPECT_EQ(pool.free_count(), 64u);
}

TEST_F(Radix, PassesBlocksThroughATable) {
    // Two sequences compute the same prompt side by side; the first to insert wins.
    BlockTable one(pool, 4), two(pool, 4);
    const Ids tokens = prompt({1, 2}, 2);
    ASSERT_TRUE(one.grow(10).ok());
    ASSERT_TRUE(two.grow(10).ok());
    for (BlockTable* table : {&one, &two}) {
        const auto done = tree.insert("", tokens, table->blocks());
        tree.lock(done.node);
        table->borrow(tree.blocks_of(done.node));
        EXPECT_EQ(table->owned(), 1u);
    }
    EXPECT_EQ(one.blocks()[1], two.blocks()[1]);
    EXPECT_NE(one.blocks()[2], two.blocks()[2]);
    EXPECT_EQ(pool.free_count(), 60u);
    EXPECT_EQ(pool.misuses(), 0u);
    EXPECT_EQ(tree.check(), "");
}

}  // namespace
}  // namespace tenon::kv
