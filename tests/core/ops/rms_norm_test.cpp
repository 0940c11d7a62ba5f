#include <tenon/reference/rms_norm.h>

#include <gtest/gtest.h>

#include <cmath>

namespace {

using tenon::reference::rms_norm;

TEST(RmsNorm, DividesByTheRootMeanSquare) {
    const float x[] = {3, 4, 0, 0};
    const float gain[] = {1, 2, 1, 1};
    float y[4];
    rms_norm(x, gain, nullptr, 1, 4, 0.0f, 0.0f, y, nullptr);
    EXPECT_FLOAT_EQ(y[0], 3 / 2.5f);
    EXPECT_FLOAT_EQ(y[1], 2 * 4 / 2.5f);
    EXPECT_FLOAT_EQ(y[2], 0);
}

TEST(RmsNorm, AddsTheResidualFirstAndTheGainOffset) {
    const float x[] = {1, 1};
    const float residual[] = {2, -2};
    const float gain[] = {0, 0};
    float y[2];
    float sum[2];
    rms_norm(x, gain, residual, 1, 2, 0.0f, 1.0f, y, sum);
    EXPECT_FLOAT_EQ(sum[0], 3);
    EXPECT_FLOAT_EQ(sum[1], -1);
    EXPECT_FLOAT_EQ(y[0], 3 / std::sqrt(5.0f));
}

}  // namespace
