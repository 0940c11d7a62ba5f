#include <tenon/reference/activation.h>
#include <tenon/reference/softcap.h>

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace tenon::reference;

TEST(Activation, ClosedForms) {
    EXPECT_DOUBLE_EQ(activate(0, TENON_ACT_SILU), 0);
    EXPECT_NEAR(activate(1, TENON_ACT_SILU), 1 / (1 + std::exp(-1.0)), 1e-12);
    EXPECT_NEAR(activate(-800, TENON_ACT_SILU), 0, 1e-12);
    EXPECT_NEAR(activate(1, TENON_ACT_GELU_ERF), 0.5 * (1 + std::erf(1 / std::sqrt(2.0))), 1e-12);
    EXPECT_NEAR(activate(1, TENON_ACT_GELU_TANH), activate(1, TENON_ACT_GELU_ERF), 2e-4);
    EXPECT_DOUBLE_EQ(activate(-2.5, TENON_ACT_NONE), -2.5);
}

TEST(Activation, SoftcapBendsAtTheCap) {
    const float x[] = {0.001f, 1e6f, -1e6f};
    float y[3];
    softcap(x, 3, 30.0f, y);
    EXPECT_NEAR(y[0], 0.001f, 1e-9);
    EXPECT_FLOAT_EQ(y[1], 30);
    EXPECT_FLOAT_EQ(y[2], -30);
}

}  // namespace
