#include "kernels/include/tenon/kernels/draw.h"

#include <tenon/reference/noise.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<DrawEntry> entries() {
    uint32_t count = 0;
    const DrawEntry* first = draw_entries(&count);
    return {first, first + count};
}

class DrawContract : public ::testing::TestWithParam<DrawEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

std::vector<float> row_of(uint32_t count, uint32_t seed) {
    std::vector<float> logits = random_floats(count, seed, 3.0f);
    std::mt19937 engine(seed);
    for (float& x : logits)
        if (engine() % 40 == 0) x = -kInf;
    return logits;
}

float score(const DrawArgs& a, uint32_t i) {
    const float difference = a.logits[i] - a.best;
    return difference / a.temperature +
           reference::gumbel(reference::noise_word(a.seed, a.position, i));
}

constexpr float kTemperatures[] = {1e-6f, 0.05f, 0.7f, 1.0f, 3.0f, 1e6f};

TEST_P(DrawContract, WeighsAsTheReference) {
    for (const uint32_t count : {1u, 15u, 64u, 1000u, 5003u}) {
        for (const float temperature : kTemperatures) {
            const std::vector<float> logits = row_of(count, count);
            // The best that may be drawn is not always the largest.
            for (const float best : {*std::max_element(logits.begin(), logits.end()), 1.0f}) {
                for (const float lowest : {-kInf, -0.5f}) {
                    DrawArgs a{logits.data(), count, best, temperature, lowest, 1, 2};
                    std::vector<uint32_t> weights(count, 7u);
                    const uint64_t total = GetParam().weigh(a, weights.data());
                    uint64_t sum = 0;
                    for (uint32_t i = 0; i < count; ++i) {
                        const float difference = logits[i] - best;
                        const bool in = logits[i] <= best && logits[i] >= lowest;
                        ASSERT_EQ(
                            weights[i],
                            in ? reference::candidate_weight_q30(difference / temperature) : 0u)
                            << logits[i] << " of " << best << " at " << temperature;
                        sum += weights[i];
                    }
                    EXPECT_EQ(total, sum);
                }
            }
        }
    }
}

TEST_P(DrawContract, NamesEveryTokenThatReachesTheScore) {
    for (const uint32_t count : {1u, 63u, 64u, 130u, 3001u}) {
        for (const float temperature : kTemperatures) {
            const std::vector<float> logits = row_of(count, count + 1);
            const float best = *std::max_element(logits.begin(), logits.end());
            DrawArgs a{logits.data(),
                       count,
                       best,
                       temperature,
                       std::min(best, -1.0f),
                       0x0123456789abcdefull + count,
                       41};
            std::vector<float> scores;
            for (uint32_t i = 0; i < count; ++i)
                if (std::isfinite(logits[i]) && logits[i] >= a.lowest)
                    scores.push_back(score(a, i));
            std::sort(scores.begin(), scores.end());
            for (float highest : {scores.front(), scores[scores.size() / 2], scores.back()}) {
                highest = std::max(highest, -4.0f);
                std::vector<uint32_t> ids(count);
                ids.resize(GetParam().contend(a, 0, count, highest, ids.data()));
                EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
                for (uint32_t i = 0; i < count; ++i) {
                    if (!std::isfinite(logits[i]) || logits[i] < a.lowest || score(a, i) < highest)
                        continue;
                    ASSERT_TRUE(std::binary_search(ids.begin(), ids.end(), i))
                        << "token " << i << " at temperature " << temperature;
                }
            }
        }
    }
}

// The bound is worth its work: hardly any token but those that reach the score is named.
TEST_P(DrawContract, NamesFewOthers) {
    const uint32_t count = 4096;
    const std::vector<float> logits = row_of(count, 77);
    DrawArgs a{
        logits.data(), count, *std::max_element(logits.begin(), logits.end()), 1.0f, -kInf, 5, 6};
    std::vector<uint32_t> ids(count);
    uint32_t reach = 0;
    for (uint32_t i = 0; i < count; ++i)
        reach += score(a, i) >= 2.0f;
    EXPECT_LE(GetParam().contend(a, 0, count, 2.0f, ids.data()), reach * 2 + 8);
}

std::string entry_name(const ::testing::TestParamInfo<DrawEntry>& info) {
    return isa_name(info.param.isa);
}
INSTANTIATE_TEST_SUITE_P(Entries, DrawContract, ::testing::ValuesIn(entries()), entry_name);

}  // namespace
}  // namespace tenon::kernels
