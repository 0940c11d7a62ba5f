#include "core/model/rope.h"

#include <gtest/gtest.h>

#include <cmath>

namespace tenon::model {
namespace {

TEST(Rope, FollowsTheFormula) {
    const auto table = inverse_frequencies(10000.0f, 8, 1.0f, {}, "");
    ASSERT_TRUE(table.ok());
    const double expected[] = {1.0, 0.1, 0.01, 0.001};
    for (int i = 0; i < 4; ++i) EXPECT_NEAR((*table)[i], expected[i], 1e-7 * expected[i]);
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

} // namespace
} // namespace tenon::model
