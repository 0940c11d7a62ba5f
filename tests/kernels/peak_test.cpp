#include "kernels/include/tenon/kernels/peak.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<PeakEntry> entries() {
    uint32_t count = 0;
    const PeakEntry* first = peak_entries(&count);
    return {first, first + count};
}

class PeakContract : public ::testing::TestWithParam<PeakEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
    Peak peak(const std::vector<float>& logits) {
        return GetParam().find_peak(logits.data(), logits.size());
    }
};

TEST_P(PeakContract, LowestIndexOfTheLargest) {
    std::mt19937 engine(7);
    for (const size_t count : {1u, 2u, 15u, 16u, 17u, 511u, 512u, 513u, 1500u, 4096u}) {
        for (int round = 0; round < 20; ++round) {
            std::vector<float> logits = random_floats(count, engine());
            if (round % 2 == 1)
                for (float& x : logits)
                    x = std::round(x);  // ties
            for (float& x : logits)
                if (engine() % 16 == 0) x = -kInf;
            size_t wanted = 0;
            for (size_t i = 1; i < count; ++i)
                if (logits[i] > logits[wanted]) wanted = i;
            const Peak found = peak(logits);
            EXPECT_EQ(found.index, wanted) << count;
            EXPECT_FALSE(found.broken);
        }
    }
    EXPECT_EQ(peak(std::vector<float>(700, -kInf)).index, 0u);
    EXPECT_FALSE(peak(std::vector<float>(700, -kInf)).broken);
}

TEST_P(PeakContract, OneBadLogitAnywhereBreaksTheRow) {
    for (const size_t count : {1u, 17u, 512u, 600u, 1030u}) {
        const std::vector<float> sound = random_floats(count, 3);
        for (size_t at = 0; at < count; ++at) {
            for (const float bad : {std::nanf(""), -std::nanf(""), kInf}) {
                std::vector<float> logits = sound;
                logits[at] = bad;
                ASSERT_TRUE(peak(logits).broken) << at << " of " << count;
            }
        }
    }
}

std::string entry_name(const ::testing::TestParamInfo<PeakEntry>& info) {
    return isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, PeakContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
