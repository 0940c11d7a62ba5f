#include <tenon/reference/matmul.h>
#include <tenon/reference/matmul_glu.h>

#include <gtest/gtest.h>

#include <cmath>

namespace {

using namespace tenon::reference;

TEST(Matmul, AddsBiasAndResidualAfterAlpha) {
    const float x[] = {1, 2, 3, 4};
    const float w[] = {1, 0, 0, 1, 1, 1};
    const float bias[] = {10, 20, 30};
    const float residual[] = {100, 200, 300, 400, 500, 600};
    float y[6];
    matmul(x, w, bias, residual, 2, 3, 2, 2.0f, y);
    const float wanted[] = {112, 224, 336, 416, 528, 644};
    for (int i = 0; i < 6; ++i)
        EXPECT_EQ(y[i], wanted[i]) << i;
}

TEST(Matmul, SumsInDouble) {
    const float x[] = {1e8f, 1, -1e8f};
    const float w[] = {1, 1, 1};
    float y[1];
    matmul(x, w, nullptr, nullptr, 1, 1, 3, 1.0f, y);
    EXPECT_EQ(y[0], 1);
}

TEST(Matmul, GluMultipliesTheActivatedGate) {
    const float x[] = {1, 2};
    const float gate[] = {1, 0};
    const float up[] = {0, 3};
    float y[1];
    matmul_glu(x, gate, up, 1, 1, 2, TENON_ACT_SILU, y);
    EXPECT_NEAR(y[0], 6 / (1 + std::exp(-1.0)), 1e-6);
}

}  // namespace
