#include "core/tokenizer/merges.h"

#include <limits>
#include <random>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

// The definition, step by step: find the pair of lowest rank, leftmost first, join it, start again.
std::vector<int32_t> merge_plainly(const MergeTable& table, std::vector<int32_t> ids) {
    for (;;) {
        size_t best = ids.size();
        const Merge* chosen = nullptr;
        for (size_t i = 0; i + 1 < ids.size(); ++i) {
            const Merge* merge = table.find(ids[i], ids[i + 1]);
            if (merge != nullptr && (chosen == nullptr || merge->rank < chosen->rank)) {
                chosen = merge;
                best = i;
            }
        }
        if (chosen == nullptr) break;
        ids[best] = chosen->merged;
        ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    std::erase_if(ids, [](int32_t id) { return id < 0; });
    return ids;
}

MergeTable random_table(std::mt19937& random, int32_t letters, int32_t count) {
    MergeTable table;
    table.reserve(static_cast<size_t>(count));
    for (int32_t rank = 0; rank < count; ++rank) {
        const auto pool = static_cast<uint32_t>(letters + rank);
        // Mostly young tokens, so that merges chain.
        const auto pick = [&] { return static_cast<int32_t>(random() % pool); };
        EXPECT_TRUE(table.insert({pick(), pick(), letters + rank, rank}));
    }
    return table;
}

TEST(Merges, TheFirstOfTwoEqualPairsCounts) {
    MergeTable table;
    table.reserve(2);
    ASSERT_TRUE(table.insert({1, 2, 10, 0}));
    ASSERT_TRUE(table.insert({1, 2, 11, 1}));
    EXPECT_EQ(table.size(), 1u);
    ASSERT_NE(table.find(1, 2), nullptr);
    EXPECT_EQ(table.find(1, 2)->merged, 10);
    EXPECT_EQ(table.find(2, 1), nullptr);
    EXPECT_EQ(table.find(-1, 2), nullptr);
}

TEST(Merges, AnEmptyTableMergesNothing) {
    const MergeTable table;
    WordMerger merger(table);
    std::vector<int32_t> out;
    merger.merge(std::vector<int32_t>{3, -1, 4}, out);
    EXPECT_EQ(out, (std::vector<int32_t>{3, 4}));
}

TEST(Merges, WordsOfEveryLengthFollowTheDefinition) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 40; ++round) {
        const int32_t letters = 1 + static_cast<int32_t>(random() % 4);
        const MergeTable table = random_table(random, letters, 12);
        WordMerger merger(table);
        for (size_t length = 0; length < 90; ++length) {
            std::vector<int32_t> ids(length);
            for (int32_t& id : ids) {
                id = random() % 40 == 0
                         ? -1
                         : static_cast<int32_t>(random() % static_cast<uint32_t>(letters));
            }
            std::vector<int32_t> out;
            merger.merge(ids, out);
            ASSERT_EQ(out, merge_plainly(table, ids)) << "length " << length;
        }
    }
}

}  // namespace
}  // namespace tenon::tokenizer
