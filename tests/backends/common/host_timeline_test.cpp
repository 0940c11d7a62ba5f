#include "backends/common/host_timeline.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include <tenon/sdk/fake_host.hpp>

namespace tenon::common {
namespace {

struct TimelineTest : testing::Test {
    TimelineTest() { sdk::g_host = host.table(); }
    ~TimelineTest() override { sdk::g_host = nullptr; }

    sdk::FakeHost host;
    std::mutex mutex;
    std::condition_variable changed;
    HostTimeline timeline;
};

TEST_F(TimelineTest, NeverGoesBack) {
    timeline.raise(5);
    timeline.raise(3);
    EXPECT_EQ(timeline.value, 5u);
    const sdk::Status back = timeline.signal(4, TENON_OK);
    EXPECT_EQ(back.code(), TENON_INVALID);
    EXPECT_STREQ(back.message(), "The timeline is at 5 and cannot go back to 4.");
    EXPECT_TRUE(timeline.signal(5, TENON_OK).ok());
    EXPECT_TRUE(timeline.signal(6, TENON_OK).ok());
    EXPECT_EQ(timeline.value, 6u);
}

TEST_F(TimelineTest, FirstFailureStays) {
    timeline.raise(2);
    EXPECT_TRUE(timeline.signal(0, TENON_DEVICE_LOST).ok());
    timeline.fail(sdk::fail(TENON_INVALID, "later"));
    timeline.raise(9);
    EXPECT_EQ(timeline.value, 2u);
    EXPECT_EQ(timeline.failure.code(), TENON_DEVICE_LOST);
    EXPECT_TRUE(timeline.over(3));
    EXPECT_TRUE(timeline.reached(2));
    EXPECT_FALSE(timeline.reached(3));
}

TEST_F(TimelineTest, TellsOnceWhoeverAskedForWhatIsReached) {
    EXPECT_TRUE(timeline.notify(2, 20));
    EXPECT_TRUE(timeline.notify(4, 40));
    EXPECT_FALSE(timeline.notify(0, 7));  // reached already
    timeline.raise(3);
    timeline.raise(3);
    timeline.fail(sdk::fail(TENON_CANCELLED, "over"));
    EXPECT_FALSE(timeline.notify(3, 30));
    EXPECT_FALSE(timeline.notify(5, 50));
    const auto told = host.notifications();
    ASSERT_EQ(told.size(), 5u);
    const uint64_t cookies[] = {7, 20, 40, 30, 50};
    const int32_t statuses[] = {TENON_OK, TENON_OK, TENON_CANCELLED, TENON_OK, TENON_CANCELLED};
    for (size_t i = 0; i < told.size(); ++i) {
        EXPECT_EQ(told[i].cookie, cookies[i]) << i;
        EXPECT_EQ(told[i].status, statuses[i]) << i;
    }
}

TEST_F(TimelineTest, WaitEndsWithTheTimeTheValueOrTheFailure) {
    std::unique_lock<std::mutex> lock(mutex);
    timeline.value = 1;
    EXPECT_TRUE(timeline.wait(lock, changed, 1, 0).ok());
    const sdk::Status late = timeline.wait(lock, changed, 2, 1000000);
    EXPECT_EQ(late.code(), TENON_TIMEOUT);
    EXPECT_STREQ(late.message(), "The timeline is at 1, 2 was waited for.");
    timeline.fail(sdk::fail(TENON_OOM_DEVICE, "no room"));
    EXPECT_STREQ(timeline.wait(lock, changed, 2, UINT64_MAX).message(), "no room");
    EXPECT_TRUE(timeline.wait(lock, changed, 1, UINT64_MAX).ok());  // reached before it failed
}

TEST_F(TimelineTest, WaitRunsWorkBeforeItSleeps) {
    std::unique_lock<std::mutex> lock(mutex);
    uint32_t ran = 0;
    const sdk::Status status =
        timeline.wait(lock, changed, 3, UINT64_MAX, [&](std::unique_lock<std::mutex>& held) {
            EXPECT_TRUE(held.owns_lock());
            ++ran;
            timeline.raise(timeline.value + 1);
            return true;
        });
    EXPECT_TRUE(status.ok());
    EXPECT_EQ(ran, 3u);
}

TEST_F(TimelineTest, WaitWakesWhenAnotherThreadRaises) {
    std::unique_lock<std::mutex> lock(mutex);
    std::thread other([&] {
        const std::lock_guard<std::mutex> held(mutex);  // not before the wait sleeps
        timeline.raise(1);
        changed.notify_all();
    });
    EXPECT_TRUE(timeline.wait(lock, changed, 1, UINT64_MAX).ok());
    lock.unlock();
    other.join();
}

// A backend whose timeline is nothing but the shared one.
struct Handles {
    static HostTimeline* get(tenon_timeline* handle) {
        return reinterpret_cast<HostTimeline*>(handle);
    }
};

TEST_F(TimelineTest, FailedWaitPassesReachedOnes) {
    HostTimeline failed;
    failed.value = 4;
    failed.fail(sdk::fail(TENON_CANCELLED, "stopped"));
    tenon_point waits[2] = {{reinterpret_cast<tenon_timeline*>(&failed), 4},
                            {reinterpret_cast<tenon_timeline*>(&timeline), 1}};
    bool ready = true;
    EXPECT_EQ(failed_wait<Handles>(waits, 2, &ready), nullptr);
    EXPECT_FALSE(ready);
    timeline.raise(1);
    EXPECT_EQ(failed_wait<Handles>(waits, 2, &ready), nullptr);
    EXPECT_TRUE(ready);
    waits[0].value = 5;
    EXPECT_EQ(failed_wait<Handles>(waits, 2, &ready), &failed.failure);
    EXPECT_FALSE(ready);
}

TEST_F(TimelineTest, EndedSignalsCarryTheFailure) {
    HostTimeline second;
    const tenon_point signals[2] = {{reinterpret_cast<tenon_timeline*>(&timeline), 3},
                                    {reinterpret_cast<tenon_timeline*>(&second), 8}};
    end_signals<Handles>(signals, 2, {});
    EXPECT_EQ(timeline.value, 3u);
    EXPECT_EQ(second.value, 8u);
    end_signals<Handles>(signals, 2, sdk::fail(TENON_INVALID, "a bad step"));
    EXPECT_STREQ(timeline.failure.message(), "a bad step");
    EXPECT_STREQ(second.failure.message(), "a bad step");
}

}  // namespace
}  // namespace tenon::common
