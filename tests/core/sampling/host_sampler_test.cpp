#include "core/sampling/host_sampler.h"

#include <tenon/reference/sample.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace tenon::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(HostSampler, DrawsWhatTheReferenceDraws) {
    std::mt19937 random(20261121);
    std::normal_distribution<float> normal(0, 3);
    for (int round = 0; round < 3000; ++round) {
        std::vector<float> logits(1 + random() % 900);
        // Few distinct values give ties.
        const bool ties = random() % 2 == 0;
        for (float& logit : logits)
            logit = ties ? std::round(normal(random)) : normal(random);
        if (random() % 4 == 0) logits[random() % logits.size()] = -kInf;
        SamplingParams params;
        params.temperature = random() % 5 == 0 ? 0 : 0.1f + static_cast<float>(random() % 20) / 10;
        params.top_k = random() % 2 == 0 ? 0 : static_cast<int32_t>(1 + random() % 1000);
        params.top_p = random() % 2 == 0 ? 1 : 0.01f + static_cast<float>(random() % 99) / 100;
        params.min_p = random() % 2 == 0 ? 0 : static_cast<float>(random() % 60) / 100;
        params.seed = random();
        const auto position = static_cast<int32_t>(random() % 5000);
        const reference::SampleParams how{
            params.temperature, params.top_k, params.top_p, params.min_p,
            params.seed,        position,     nullptr};
        const reference::Sampled want =
            reference::sample(logits.data(), static_cast<int64_t>(logits.size()), how);
        ASSERT_EQ(draw(logits, params, position), want.token)
            << "round " << round << " temperature " << params.temperature << " top_k "
            << params.top_k << " top_p " << params.top_p << " min_p " << params.min_p;
    }
}

TEST(HostSampler, GarbageIsNeverDrawn) {
    const SamplingParams params{.temperature = 1};
    EXPECT_EQ(draw(std::vector<float>{1, NAN, 2}, params, 0), -1);
    EXPECT_EQ(draw(std::vector<float>{1, kInf, 2}, params, 0), -1);
    EXPECT_EQ(draw(std::vector<float>{-kInf, -kInf}, params, 0), -1);
    EXPECT_EQ(draw(std::vector<float>{-kInf, 0, -kInf}, params, 0), 1);
    EXPECT_EQ(draw(std::vector<float>{NAN, 5}, SamplingParams{}, 0), -1);
}

TEST(HostSampler, PenaltiesActOnWhatWasSeen) {
    TokenCounts counts;
    counts.add_prompt(0);
    counts.add_prompt(1);
    counts.add_output(2);
    counts.add_output(2);
    counts.add_output(3);
    SamplingParams params;
    params.repetition_penalty = 2;
    params.frequency_penalty = 0.5f;
    params.presence_penalty = 0.25f;
    params.logit_bias = {{4, 3.0f}, {0, 1.0f}, {99, 5.0f}};
    std::vector<float> logits = {3, -2, 4, -1, 1, 7};
    adjust_logits(logits, params, counts);
    EXPECT_EQ(logits, (std::vector<float>{2, -4, 2 - 1.25f, -2 - 0.75f, 4, 7}));
}

TEST(HostSampler, ForbiddenTokensAreImpossible) {
    std::vector<float> logits = {1, 5, 3};
    forbid(logits, std::vector<int32_t>{1, -4, 77});
    EXPECT_EQ(draw(logits, {}, 0), 2);
}

TEST(HostSampler, LogprobsSumToOneAndAreRanked) {
    const std::vector<float> logits = {1, 3, 3, -kInf, 0};
    const Logprobs got = logprobs_of(logits, 0, 10);
    ASSERT_EQ(got.top.size(), 4u);
    EXPECT_EQ(got.top[0].first, 1);
    EXPECT_EQ(got.top[1].first, 2);
    EXPECT_EQ(got.top[2].first, 0);
    EXPECT_EQ(got.top[2].second, got.of_token);
    double sum = 0;
    for (const auto& [token, logprob] : got.top)
        sum += std::exp(logprob);
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_TRUE(logprobs_of(logits, 2, 0).top.empty());
    EXPECT_EQ(logprobs_of(logits, 2, 0).of_token, reference::log_probability(logits.data(), 5, 2));
}

}  // namespace
}  // namespace tenon::sampling
