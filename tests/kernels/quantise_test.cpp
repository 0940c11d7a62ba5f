#include <gtest/gtest.h>

#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

std::vector<QuantiseEntry> entries() {
    uint32_t count = 0;
    const QuantiseEntry* first = quantise_entries(&count);
    return {first, first + count};
}

class QuantiseContract : public ::testing::TestWithParam<QuantiseEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

TEST_P(QuantiseContract, HasTheBitsOfTheScalarOne) {
    const uint32_t cols = 160;
    const uint32_t tokens = 11;
    std::vector<float> x = random_floats(cols * tokens, 3, 5.0f);
    for (uint32_t i = 0; i < 32; ++i)
        x[i] = 0.0f;
    std::vector<ActivationBlock> got(2 * 5);
    std::vector<ActivationBlock> want(2 * 5);
    GetParam().quantise({x.data(), cols, got.data(), 5, 0, tokens, 0, 5});
    find_quantise(Isa::kScalar)->quantise({x.data(), cols, want.data(), 5, 0, tokens, 0, 5});
    EXPECT_EQ(std::memcmp(got.data(), want.data(), got.size() * sizeof(ActivationBlock)), 0);
    EXPECT_EQ(got[0].scale[0][0], 0.0f);
}

TEST_P(QuantiseContract, ErrorIsHalfAStepAtMost) {
    const std::vector<float> x = random_floats(64 * 3, 7);
    std::vector<ActivationBlock> out(2);
    GetParam().quantise({x.data(), 64, out.data(), 2, 0, 3, 0, 2});
    for (uint32_t t = 0; t < 3; ++t)
        for (uint32_t k = 0; k < 64; ++k) {
            const ActivationBlock& block = out[k / 32];
            const float scale = block.scale[k % 32 / 16][t];
            EXPECT_NEAR(block.codes[t][k % 32] * scale, x[t * 64 + k], scale * 0.5001f);
        }
}

TEST_P(QuantiseContract, SumsAreThoseOfTheCodes) {
    const std::vector<float> x = random_floats(32, 9);
    ActivationBlock out{};
    GetParam().quantise({x.data(), 32, &out, 1, 5, 6, 0, 1});
    float total = 0.0f;
    for (uint32_t half = 0; half < 2; ++half) {
        int32_t sum = 0;
        for (uint32_t i = 0; i < 16; ++i)
            sum += out.codes[5][16 * half + i];
        EXPECT_EQ(out.minus_sum[half][5], -sum);
        total += out.scale[half][5] * static_cast<float>(sum);
    }
    EXPECT_FLOAT_EQ(out.sum[5], total);
}

std::string entry_name(const ::testing::TestParamInfo<QuantiseEntry>& info) {
    return isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, QuantiseContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
