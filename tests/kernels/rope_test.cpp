#include <gtest/gtest.h>

#include "kernels/include/tenon/kernels/rope.h"
#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

std::vector<RopeEntry> entries() {
    uint32_t count = 0;
    const RopeEntry* first = rope_entries(&count);
    return {first, first + count};
}

class RopeContract : public ::testing::TestWithParam<RopeEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

TEST_P(RopeContract, RotatesEachPairByItsAngle) {
    for (RopeStyle style : {RopeStyle::kInterleaved, RopeStyle::kHalves})
        for (uint32_t rope_dim : {2u, 8u, 20u, 64u}) {
            const uint32_t head_dim = rope_dim == 20 ? 36 : rope_dim;
            const uint32_t heads = 3;
            const uint32_t half = rope_dim / 2;
            std::vector<float> inv_freq(half);
            for (uint32_t i = 0; i < half; ++i)
                inv_freq[i] = static_cast<float>(std::pow(10000.0, -2.0 * i / rope_dim));
            const int32_t positions[2] = {0, 1234};
            std::vector<float> table(2 * 2 * rope_dim);
            fill_rope_table(positions, inv_freq.data(), rope_dim, style, 1.25f, 0, 2, table.data());
            const std::vector<float> x = random_floats(heads * head_dim, rope_dim);
            std::vector<float> out = x;
            GetParam().rope({out.data(), out.data(), table.data() + 2 * rope_dim, heads, head_dim,
                             rope_dim, style});
            for (uint32_t h = 0; h < heads; ++h) {
                for (uint32_t i = 0; i < half; ++i) {
                    const bool halves = style == RopeStyle::kHalves;
                    const uint32_t a = h * head_dim + (halves ? i : 2 * i);
                    const uint32_t b = h * head_dim + (halves ? i + half : 2 * i + 1);
                    const float angle = 1234.0f * inv_freq[i];
                    const double c = 1.25 * std::cos(static_cast<double>(angle));
                    const double s = 1.25 * std::sin(static_cast<double>(angle));
                    ASSERT_NEAR(out[a], x[a] * c - x[b] * s, 2e-6) << rope_dim << " pair " << i;
                    ASSERT_NEAR(out[b], x[a] * s + x[b] * c, 2e-6) << rope_dim << " pair " << i;
                }
                for (uint32_t d = rope_dim; d < head_dim; ++d)
                    ASSERT_EQ(out[h * head_dim + d], x[h * head_dim + d]);
            }
        }
}

std::string entry_name(const ::testing::TestParamInfo<RopeEntry>& info) {
    return isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, RopeContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
