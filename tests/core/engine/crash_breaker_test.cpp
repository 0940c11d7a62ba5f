#include "core/engine/crash_breaker.h"

#include <gtest/gtest.h>

namespace tenon::engine {
namespace {

TEST(CrashBreaker, FirstRestartIsAtOnceLaterOnesBackOff) {
    CrashBreaker breaker;
    EXPECT_EQ(breaker.on_death(1000), 1000u);
    EXPECT_EQ(breaker.on_death(1000), 1100u);
    EXPECT_EQ(breaker.on_death(1100), 1300u);
    EXPECT_EQ(breaker.on_death(1300), 1700u);
    EXPECT_FALSE(breaker.is_open());
}

TEST(CrashBreaker, OpensAtTheFifthDeathAndDoublesUpToItsMaximum) {
    CrashBreaker breaker;
    for (int death = 0; death < 4; ++death)
        static_cast<void>(breaker.on_death(1000));
    EXPECT_EQ(breaker.on_death(2000), 12'000u);
    EXPECT_TRUE(breaker.is_open());
    EXPECT_EQ(breaker.on_death(12'000), 32'000u);
    EXPECT_EQ(breaker.on_death(32'000), 72'000u);
    EXPECT_EQ(breaker.on_death(72'000), 152'000u);
    EXPECT_EQ(breaker.on_death(152'000), 272'000u);
    EXPECT_EQ(breaker.on_death(272'000), 392'000u);
    EXPECT_TRUE(breaker.is_open());
    breaker.on_success();
    EXPECT_FALSE(breaker.is_open());
    EXPECT_EQ(breaker.on_death(400'000), 400'000u);
}

TEST(CrashBreaker, ASuccessBetweenDeathsKeepsItClosed) {
    CrashBreaker breaker;
    for (uint64_t death = 0; death < 100; ++death) {
        EXPECT_EQ(breaker.on_death(death * 10), death * 10);
        breaker.on_success();
    }
    EXPECT_FALSE(breaker.is_open());
}

TEST(CrashBreaker, DeathsFarApartAreNotALoop) {
    CrashBreaker breaker;
    for (uint64_t death = 1; death < 20; ++death) {
        EXPECT_EQ(breaker.on_death(death * 31'000), death * 31'000);
        EXPECT_FALSE(breaker.is_open());
    }
}

}  // namespace
}  // namespace tenon::engine
