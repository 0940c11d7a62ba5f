#include <gtest/gtest.h>

#include "kernels/include/tenon/kernels/norm.h"
#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

std::vector<NormEntry> entries() {
    uint32_t count = 0;
    const NormEntry* first = norm_entries(&count);
    return {first, first + count};
}

class NormContract : public ::testing::TestWithParam<NormEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

TEST_P(NormContract, AgreesWithDouble) {
    for (uint32_t cols : {1u, 15u, 16u, 33u, 576u}) {
        for (bool with_residual : {false, true}) {
            const uint32_t rows = 3;
            const std::vector<float> x = random_floats(rows * cols, cols);
            const std::vector<float> residual = random_floats(rows * cols, cols + 1);
            const std::vector<float> gain = random_floats(cols, cols + 2);
            std::vector<float> y(rows * cols);
            std::vector<float> sum(rows * cols);
            NormArgs a{};
            a.x = x.data();
            a.residual = with_residual ? residual.data() : nullptr;
            a.gain = gain.data();
            a.y = y.data();
            a.sum = with_residual ? sum.data() : nullptr;
            a.x_stride = a.residual_stride = a.y_stride = a.sum_stride = cols;
            a.row_end = rows;
            a.cols = cols;
            a.epsilon = 1e-5f;
            a.gain_offset = with_residual ? 1.0f : 0.0f;
            GetParam().rms_norm(a);
            for (uint32_t r = 0; r < rows; ++r) {
                double squares = 0;
                std::vector<double> s(cols);
                for (uint32_t c = 0; c < cols; ++c) {
                    s[c] = x[r * cols + c];
                    if (with_residual) s[c] += residual[r * cols + c];
                    squares += s[c] * s[c];
                }
                const double factor = 1.0 / std::sqrt(squares / cols + 1e-5);
                for (uint32_t c = 0; c < cols; ++c) {
                    const double want = s[c] * factor * (gain[c] + a.gain_offset);
                    ASSERT_NEAR(y[r * cols + c], want, 2e-6 * (1 + std::fabs(want)));
                    if (with_residual) {
                        ASSERT_NEAR(sum[r * cols + c], s[c], 1e-6);
                    }
                }
            }
        }
    }
}

TEST_P(NormContract, StoringTheSumDoesNotChangeABit) {
    const uint32_t cols = 100;
    const std::vector<float> x = random_floats(cols, 1);
    const std::vector<float> gain = random_floats(cols, 2);
    std::vector<float> plain(cols);
    std::vector<float> stored(cols);
    std::vector<float> sum = random_floats(cols, 3);  // also the residual, overwritten in place
    NormArgs a{};
    a.x = x.data();
    a.residual = sum.data();
    a.gain = gain.data();
    a.y = plain.data();
    a.row_end = 1;
    a.cols = cols;
    a.epsilon = 1e-6f;
    GetParam().rms_norm(a);
    a.y = stored.data();
    a.sum = sum.data();
    GetParam().rms_norm(a);
    EXPECT_EQ(std::memcmp(plain.data(), stored.data(), cols * 4), 0);
}

std::string entry_name(const ::testing::TestParamInfo<NormEntry>& info) {
    return isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, NormContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
