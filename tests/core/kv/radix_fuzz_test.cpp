// Random lives of an engine beside a naive model. TENON_FUZZ_OPS says how many operations, in all;
// TENON_TEST_SEED where to begin.
#include "tests/core/kv/radix_life.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <random>

namespace tenon::kv {
namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
    const char* const given = std::getenv(name);
    return given != nullptr ? std::strtoull(given, nullptr, 10) : otherwise;
}

TEST(RadixFuzz, AgreesWithANaiveModelThroughRandomLives) {
    const uint64_t operations = from_environment("TENON_FUZZ_OPS", 50'000);
    const uint64_t first_seed = from_environment("TENON_TEST_SEED", 1);
    constexpr uint64_t kLife = 2'500;  // operations until everything is ended and counted
    uint64_t hits = 0, evicted = 0, splits = 0, retracted = 0, done = 0;
    for (uint64_t seed = first_seed; done < operations; ++seed) {
        std::mt19937 random(static_cast<uint32_t>(seed));
        const LifeOptions options{seed % 5 == 0 ? 9u : 24u + static_cast<uint32_t>(seed % 40),
                                  1 + static_cast<uint32_t>(seed / 2 % 5),
                                  seed % 2 == 0 ? Eviction::kLru : Eviction::kSlru};
        RadixLife life(options, [&] { return static_cast<uint32_t>(random() >> 4); });
        for (uint64_t i = 0; i < kLife; ++i, ++done)
            ASSERT_EQ(life.step(), "") << "seed " << seed;
        hits += life.hit_blocks();
        evicted += life.evicted_blocks();
        splits += life.splits();
        retracted += life.retracted();
        ASSERT_EQ(life.end(), "") << "seed " << seed;
    }
    std::printf("%llu operations: %llu blocks hit, %llu evicted, %llu splits, %llu retracted\n",
                static_cast<unsigned long long>(done), static_cast<unsigned long long>(hits),
                static_cast<unsigned long long>(evicted), static_cast<unsigned long long>(splits),
                static_cast<unsigned long long>(retracted));
    // A life that never meets the hard cases proves nothing.
    EXPECT_GT(hits, done / 20);
    EXPECT_GT(evicted, done / 20);
    EXPECT_GT(splits, done / 200);
    EXPECT_GT(retracted, done / 200);
}

}  // namespace
}  // namespace tenon::kv
