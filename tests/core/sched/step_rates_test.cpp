// Simulated devices of several speeds: after few steps a predicted step is one that fits.
#include "core/sched/step_rates.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "core/sched/scheduler.h"
#include "tests/core/sched/views.h"

namespace tenon::sched {
namespace {

struct Device {
    const char* name;
    double constant_ms, prefill_ms, decode_ms, context_ms;
    double step_ms(const StepWork& work) const {
        return constant_ms + prefill_ms * work.prefill_tokens + decode_ms * work.decode_rows +
               context_ms * static_cast<double>(work.context_tokens);
    }
};

// A large GPU, a small one, a server's processor, a slow one, one that attention makes slow.
constexpr Device kDevices[] = {{"large", 6, 0.02, 0.02, 1e-6},
                               {"small", 20, 0.4, 0.3, 1e-5},
                               {"server", 30, 1.2, 4, 5e-5},
                               {"slow", 60, 9, 25, 5e-4},
                               {"attention", 5, 0.1, 0.5, 3e-4}};

class StepRatesOn : public testing::TestWithParam<Device> {};
INSTANTIATE_TEST_SUITE_P(Devices, StepRatesOn, testing::ValuesIn(kDevices),
                         [](const auto& p) { return std::string(p.param.name); });

// Prompts of 4,000 tokens come while others decode. The scheduler sees times that scatter by 10 %.
TEST_P(StepRatesOn, StepsStayUnderTheLimitAfterAFew) {
    const Device device = GetParam();
    std::mt19937_64 random(3);
    SchedulerOptions options;
    Scheduler scheduler(nullptr, options);
    uint32_t decoding_rows = 0, prompt_left = 4000, computed = 0, over = 0, cut = 0;
    double cut_ms = 0;
    const uint32_t settled = 12, steps = 400;
    for (uint32_t i = 0; i < steps; ++i) {
        SchedView view = roomy();
        view.blocks_free = view.blocks_total = 1'000'000;
        view.running_max = 64;
        for (uint32_t k = 0; k < decoding_rows; ++k)
            add(view, decoding(1000 + 10 * k));
        add(view, prefilling(computed, prompt_left));
        SchedPlan plan;
        scheduler.plan(view, plan);
        EXPECT_LE(view.token_budget, 2048u);
        StepWork work;
        for (size_t k = 0; k < plan.run.size(); ++k) {
            const bool is_prompt = plan.run[k] == decoding_rows;
            if (is_prompt) work.prefill_tokens += plan.tokens[k];
            if (!is_prompt) ++work.decode_rows;
            work.context_tokens +=
                uint64_t{plan.tokens[k]} * (view.computed[plan.run[k]] + plan.tokens[k]);
        }
        ASSERT_GT(work.prefill_tokens, 0u) << "step " << i;
        ASSERT_LE(work.prefill_tokens, i == 0 ? 256u : 2048u);
        const double scatter = 0.95 + 0.1 * static_cast<double>(random() % 1000) / 1000;
        const double took_ms = device.step_ms(work) * scatter;
        scheduler.observe(work.prefill_tokens, work.decode_rows, work.context_tokens, took_ms);
        // One block is the least that a prompt gets, whatever the rows in decode leave.
        StepWork least = work;
        least.prefill_tokens = view.block_tokens;
        const bool could_be_shorter = device.step_ms(least) < options.step_ms_max * 0.9;
        if (i >= settled && could_be_shorter && took_ms > options.step_ms_max) ++over;
        // Steps that the limit alone made short fill it.
        if (i >= settled && could_be_shorter && view.token_budget < 2048 &&
            work.prefill_tokens < prompt_left) {
            ++cut;
            cut_ms += took_ms;
        }
        computed += work.prefill_tokens;
        prompt_left -= work.prefill_tokens;
        if (prompt_left == 0) {
            prompt_left = 4000;
            computed = 0;
            decoding_rows = (decoding_rows + 3) % 24;
        }
    }
    EXPECT_LE(over, (steps - settled) / 100) << "of " << steps;
    EXPECT_GT(cut_ms, cut * options.step_ms_max * 0.7 - 1e-9);
    std::printf("%s: %u steps over the limit, %u cut by it, mean %.0f ms\n", device.name, over, cut,
                cut > 0 ? cut_ms / cut : 0);
}

TEST_P(StepRatesOn, PredictsWhatItHasSeen) {
    const Device device = GetParam();
    std::mt19937_64 random(4);
    StepRates rates;
    StepWork work;
    double wrong = 0;
    for (int i = 0; i < 300; ++i) {
        work.prefill_tokens = random() % 2 == 0 ? 0 : static_cast<uint32_t>(random() % 512);
        work.decode_rows = 1 + static_cast<uint32_t>(random() % 32);
        work.context_tokens = work.decode_rows * (100 + random() % 1000) +
                              work.prefill_tokens * (work.prefill_tokens + random() % 2000);
        const double took = device.step_ms(work);
        if (i >= 200) wrong = std::max(wrong, std::abs(rates.predict(work) - took) / took);
        rates.observe(work, took);
    }
    EXPECT_LT(wrong, 0.1);
}

TEST(StepRates, StartsModestly) {
    StepRates rates;
    EXPECT_EQ(rates.largest_prefill({}, 0, 250, 16, 2048), 256u);
    EXPECT_EQ(rates.largest_prefill({}, 0, 250, 16, 64), 64u);
    EXPECT_EQ(rates.largest_prefill({}, 0, 250, 16, 8), 8u);
    // The first chunk was cheap: the next one grows in a leap, not at once to the ceiling.
    rates.observe({256, 0, 256 * 256}, 1);
    EXPECT_EQ(rates.largest_prefill({}, 0, 250, 16, 8192), 1024u);
}

TEST(StepRates, WhatOneStepLeavesOpenIsChargedToTokens) {
    StepRates rates;
    rates.observe({256, 0, 256 * 256}, 200);
    const uint32_t chunk = rates.largest_prefill({}, 0, 250, 16, 8192);
    EXPECT_GE(chunk, 250u);
    EXPECT_LE(chunk, 340u);
}

TEST(StepRates, KeepsTheRateOfPromptsThroughALongDecode) {
    StepRates rates;
    const auto took = [](uint32_t prefill, uint32_t decode) { return 5 + prefill * 1.0 + decode; };
    for (uint32_t i = 0; i < 40; ++i) {
        rates.observe({16 * (1 + i % 8), i % 4, 0}, took(16 * (1 + i % 8), i % 4));
    }
    for (uint32_t i = 0; i < 100'000; ++i)
        rates.observe({0, 1 + i % 8, 0}, took(0, 1 + i % 8));
    EXPECT_NEAR(rates.predict({128, 4, 0}), took(128, 4), 20);
}

TEST(StepRates, OneHiccupDoesNotSetTheRates) {
    StepRates rates;
    for (int i = 0; i < 50; ++i)
        rates.observe({128, 4, 1000}, 40);
    rates.observe({128, 4, 1000}, 5000);
    EXPECT_LT(rates.predict({128, 4, 1000}), 50);
}

TEST(StepRates, LearnsThatTheDeviceBecameSlow) {
    StepRates rates;
    for (int i = 0; i < 200; ++i)
        rates.observe({128, 4, 1000}, 10);
    int steps = 0;
    while (rates.predict({128, 4, 1000}) < 72 && steps < 200) {
        rates.observe({128, 4, 1000}, 80);
        ++steps;
    }
    EXPECT_LT(steps, 90);
}

TEST(StepRates, NonsenseIsNotLearned) {
    StepRates rates;
    rates.observe({128, 0, 128}, 10);
    const double before = rates.predict({128, 0, 128});
    rates.observe({128, 0, 128}, -1);
    rates.observe({128, 0, 128}, std::numeric_limits<double>::quiet_NaN());
    rates.observe({128, 0, 128}, std::numeric_limits<double>::infinity());
    rates.observe({0, 0, 0}, 50);
    EXPECT_EQ(rates.predict({128, 0, 128}), before);
}

}  // namespace
}  // namespace tenon::sched
