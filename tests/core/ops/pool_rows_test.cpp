#include <tenon/reference/pool_rows.h>

#include <gtest/gtest.h>

namespace {

using tenon::reference::pool_rows;

TEST(PoolRows, TakesFirstLastOrMean) {
    const float x[] = {1, 10, 2, 20, 6, 60};
    const int32_t q_start[] = {0, 3, 3};
    float y[4];
    pool_rows(x, 2, q_start, 2, TENON_POOL_FIRST, y);
    EXPECT_EQ(y[1], 10);
    pool_rows(x, 2, q_start, 2, TENON_POOL_LAST, y);
    EXPECT_EQ(y[1], 60);
    pool_rows(x, 2, q_start, 2, TENON_POOL_MEAN, y);
    EXPECT_EQ(y[0], 3);
    EXPECT_EQ(y[2], 0) << "a sequence without rows gives zeros";
}

}  // namespace
