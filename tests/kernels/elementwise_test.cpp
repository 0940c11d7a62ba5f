#include <gtest/gtest.h>

#include <limits>

#include "kernels/include/tenon/kernels/elementwise.h"
#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

std::vector<ElementwiseEntry> entries() {
    uint32_t count = 0;
    const ElementwiseEntry* first = elementwise_entries(&count);
    return {first, first + count};
}

double exact(Activation activation, double x) {
    switch (activation) {
        case Activation::kNone: return x;
        case Activation::kSilu: return x / (1 + std::exp(-x));
        case Activation::kGeluTanh:
            return x / 2 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
        case Activation::kGeluErf: return x / 2 * (1 + std::erf(x / std::sqrt(2.0)));
    }
    return 0;
}

class ElementwiseContract : public ::testing::TestWithParam<ElementwiseEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

TEST_P(ElementwiseContract, AgreesWithDouble) {
    for (uint64_t count : {1u, 16u, 35u, 1000u}) {
        const std::vector<float> x = random_floats(count, 1, 4.0f);
        const std::vector<float> other = random_floats(count, 2, 4.0f);
        std::vector<float> y(count);
        ElementwiseArgs a{x.data(), other.data(), y.data(), count, Activation::kNone, 5.0f};
        GetParam().add(a);
        for (uint64_t i = 0; i < count; ++i)
            ASSERT_EQ(y[i], x[i] + other[i]);
        GetParam().mul(a);
        for (uint64_t i = 0; i < count; ++i)
            ASSERT_EQ(y[i], x[i] * other[i]);
        GetParam().softcap(a);
        for (uint64_t i = 0; i < count; ++i)
            ASSERT_NEAR(y[i], 5.0 * std::tanh(x[i] / 5.0), 3e-6);
        for (Activation activation :
             {Activation::kNone, Activation::kSilu, Activation::kGeluTanh, Activation::kGeluErf}) {
            a.activation = activation;
            GetParam().activate(a);
            for (uint64_t i = 0; i < count; ++i) {
                const double want = exact(activation, x[i]);
                ASSERT_NEAR(y[i], want, 1e-6 + 1e-6 * std::fabs(want)) << x[i];
            }
            GetParam().glu(a);
            for (uint64_t i = 0; i < count; ++i) {
                const double want = exact(activation, x[i]) * other[i];
                ASSERT_NEAR(y[i], want, 5e-6 + 1e-6 * std::fabs(want)) << x[i];
            }
        }
    }
}

TEST_P(ElementwiseContract, SiluIsExactToAFewUlpsAndKeepsItsEnds) {
    std::vector<float> x;
    for (float value = -80.0f; value < 90.0f; value += 0.013f)
        x.push_back(value);
    std::vector<float> y(x.size());
    ElementwiseArgs a{x.data(), nullptr, y.data(), x.size(), Activation::kSilu, 0.0f};
    GetParam().activate(a);
    for (size_t i = 0; i < x.size(); ++i) {
        const double want = exact(Activation::kSilu, x[i]);
        ASSERT_NEAR(y[i], want, 4e-7 * std::fabs(want)) << x[i];
    }
    const float inf = std::numeric_limits<float>::infinity();
    x = {inf, -1000.0f, std::nanf(""), 0.0f};
    a = {x.data(), nullptr, y.data(), 4, Activation::kSilu, 0.0f};
    GetParam().activate(a);
    EXPECT_EQ(y[0], inf);
    EXPECT_EQ(y[1], 0.0f);
    EXPECT_TRUE(std::isnan(y[2]));
    EXPECT_EQ(y[3], 0.0f);
}

std::string entry_name(const ::testing::TestParamInfo<ElementwiseEntry>& info) {
    return isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, ElementwiseContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
