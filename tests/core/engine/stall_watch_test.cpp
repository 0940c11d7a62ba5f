#include "core/engine/stall_watch.h"

#include <gtest/gtest.h>

namespace tenon::engine {
namespace {

// Looks every 100 ms from `now` for `ms`; `change` moves the signs before each look.
template <class Change>
void pass(StallWatch& watch, uint64_t& now, uint64_t ms, SignsOfLife& signs, Change&& change) {
    for (const uint64_t end = now + ms; now < end;) {
        now += 100;
        change(signs);
        watch.look(now, signs);
    }
}

void beat(SignsOfLife& signs) { ++signs.heartbeat; }

TEST(StallWatch, BusyWithoutProgressIsSilentHoweverTheHeartBeats) {
    StallWatch watch;
    SignsOfLife signs{.is_busy = true};
    uint64_t now = 0;
    pass(watch, now, 10'000, signs, beat);
    EXPECT_FALSE(watch.is_silent_for(10'000));
    EXPECT_TRUE(watch.is_silent_for(9'000));
    pass(watch, now, 200, signs, beat);
    EXPECT_TRUE(watch.is_silent_for(10'000));
}

TEST(StallWatch, ProgressInsideAStepIsLife) {
    StallWatch watch;
    SignsOfLife signs{.is_busy = true};
    uint64_t now = 0;
    for (int step = 0; step < 20; ++step) {
        pass(watch, now, 4'900, signs, beat);
        ++signs.progress;  // one node of a step that takes 98 s
        pass(watch, now, 100, signs, beat);
        EXPECT_FALSE(watch.is_silent_for(4'950));
    }
}

TEST(StallWatch, AnIdleEngineIsNotSilent) {
    StallWatch watch;
    SignsOfLife signs;
    uint64_t now = 0;
    pass(watch, now, 60'000, signs, beat);
    EXPECT_FALSE(watch.is_silent_for(200));
    signs.is_busy = true;  // idle time is not held against a request that comes
    pass(watch, now, 100, signs, beat);
    EXPECT_FALSE(watch.is_silent_for(200));
}

TEST(StallWatch, AStoppedHeartIsSilentAlsoWhenIdle) {
    StallWatch watch;
    SignsOfLife signs;
    uint64_t now = 0;
    pass(watch, now, 1'900, signs, [](SignsOfLife&) {});
    EXPECT_FALSE(watch.is_silent_for(100));
    pass(watch, now, 300, signs, [](SignsOfLife&) {});
    EXPECT_TRUE(watch.is_silent_for(100));
    EXPECT_FALSE(watch.is_silent_for(10'000));
}

TEST(StallWatch, TimeInWhichNobodyLookedDoesNotCount) {
    StallWatch watch;
    const SignsOfLife signs{.is_busy = true};
    watch.look(0, signs);
    watch.look(3'600'000, signs);
    EXPECT_FALSE(watch.is_silent_for(1'000));
    watch.reset();
    watch.look(7'200'000, signs);
    EXPECT_FALSE(watch.is_silent_for(1));
}

}  // namespace
}  // namespace tenon::engine
