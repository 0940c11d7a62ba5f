#include "core/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::model {
namespace {

TEST(Rope, FollowsTheFormula) {
    const auto table = inverse_frequencies(10000.0f, 8, 1.0f, {}, "");
    ASSERT_TRUE(table.ok());
    const double expected[] = {1.0, 0.1, 0.01, 0.001};
    for (int i = 0; i < 4; ++i)
        EXPECT_NEAR((*table)[i], expected[i], 1e-7 * expected[i]);
}

TEST(Rope, DividesByScalingAndFactors) {
    const float factors[] = {1, 2, 4, 8};
    const auto table = inverse_frequencies(10000.0f, 8, 2.0f, factors, "f");
    ASSERT_TRUE(table.ok());
    EXPECT_FLOAT_EQ((*table)[0], 0.5f);
    EXPECT_FLOAT_EQ((*table)[3], 0.001f / 16);
}

TEST(Rope, RefusesBadFactors) {
    const float zero[] = {1, 0};
    EXPECT_EQ(inverse_frequencies(10000, 4, 1, zero, "rope_freqs.weight").error().message,
              "rope_freqs.weight[1] is 0; expected a finite number above 0");
    const float nan[] = {NAN, 1};
    EXPECT_FALSE(inverse_frequencies(10000, 4, 1, nan, "rope_freqs.weight").ok());
    const float one[] = {1};
    EXPECT_EQ(inverse_frequencies(10000, 4, 1, one, "rope_freqs.weight").error().message,
              "rope_freqs.weight has 1 factors; a rotation of 4 dimensions needs 2");
}

// Figures of transformers' own function for this rotation.
TEST(Rope, YarnKeepsFastDimensionsAndStretchesSlowOnes) {
    // Pair i turns 64 / (2 pi 10000^(i / 8)) times: above 32 never, below 1 from pair 3 on.
    const std::vector<float> table = yarn_frequencies(10000.0f, 16, {8.0f, 32.0f, 1.0f, 64});
    ASSERT_EQ(table.size(), 8u);
    EXPECT_FLOAT_EQ(table[0], 1.0f);
    EXPECT_FLOAT_EQ(table[1], 0.316227766f * (2.0f / 3 + 1.0f / 3 / 8));
    EXPECT_FLOAT_EQ(table[2], 0.1f * (1.0f / 3 + 2.0f / 3 / 8));
    for (size_t i = 3; i < 8; ++i)
        EXPECT_FLOAT_EQ(table[i],
                        static_cast<float>(std::pow(10.0, -0.5 * static_cast<double>(i)) / 8));
    EXPECT_FLOAT_EQ(yarn_mscale(8, 1), 1 + 0.1f * std::log(8.0f));
    EXPECT_FLOAT_EQ(yarn_mscale(1, 1), 1);
    EXPECT_FLOAT_EQ(yarn_mscale(0.5f, 1), 1);
}

}  // namespace
}  // namespace tenon::model
