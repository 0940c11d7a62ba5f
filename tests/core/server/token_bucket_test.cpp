#include "core/server/token_bucket.h"

#include <gtest/gtest.h>

namespace tenon::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Clock::time_point kStart{seconds(1'000)};

TEST(TokenBucket, GivesItsBurstAndThenItsRate) {
    TokenBucket bucket(2, 3, kStart);
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(bucket.wait_s(1, kStart), 0);
        bucket.take(1, kStart);
    }
    EXPECT_NEAR(bucket.wait_s(1, kStart), 0.5, 1e-9);
    EXPECT_EQ(bucket.wait_s(1, kStart + milliseconds(500)), 0);
    EXPECT_NEAR(bucket.wait_s(3, kStart + milliseconds(500)), 1.0, 1e-9);
}

TEST(TokenBucket, ACostAboveTheBurstWaitsForAFullBucketAndLeavesADebt) {
    TokenBucket bucket(1, 10, kStart);
    EXPECT_EQ(bucket.wait_s(25, kStart), 0);
    bucket.take(25, kStart);
    EXPECT_NEAR(bucket.wait_s(1, kStart), 16, 1e-9);
}

TEST(TokenBucket, AClockThatStepsBackGivesNothing) {
    TokenBucket bucket(1, 1, kStart);
    bucket.take(1, kStart);
    EXPECT_NEAR(bucket.wait_s(1, kStart - seconds(5)), 1, 1e-9);
}

TEST(BucketMap, StaysBoundedUnderAFloodOfNames) {
    BucketMap map(1, 1, 8);
    for (int i = 0; i < 1'000; ++i)
        map.at("name" + std::to_string(i), kStart).take(1, kStart);
    EXPECT_LE(map.size(), 9u);
    // Those that found no place share one bucket.
    EXPECT_GT(map.at("another", kStart).wait_s(1, kStart), 100);
    // Once the buckets are full again their places are free.
    const Clock::time_point later = kStart + seconds(10'000);
    EXPECT_EQ(map.at("fresh", later).wait_s(1, later), 0);
    EXPECT_LE(map.size(), 2u);
}

TEST(FailureLimiter, BlocksAfterTheLimitAndForgets) {
    FailureLimiter limiter(10, milliseconds(60'000), 100);
    for (int i = 0; i < 10; ++i)
        EXPECT_EQ(limiter.on_failure("10.0.0.1", kStart), 0) << i;
    EXPECT_NEAR(limiter.on_failure("10.0.0.1", kStart), 60, 1e-9);
    EXPECT_NEAR(limiter.on_failure("10.0.0.1", kStart + seconds(20)), 40, 1e-9);
    EXPECT_EQ(limiter.on_failure("10.0.0.2", kStart), 0);
    EXPECT_EQ(limiter.on_failure("10.0.0.1", kStart + seconds(61)), 0);
}

}  // namespace
}  // namespace tenon::server
