// The plugin prefix, loaded from the build: its order, its aging, its in-batch rule, its promises.
#include <gtest/gtest.h>

#include "core/sched/fcfs.h"
#include "tests/core/sched/simulated_engine.h"
#include "tests/plugins/sched/installed_policy.h"

namespace tenon::sched {
namespace {

using Rows = std::vector<uint32_t>;

// A prompt of which so many tokens are cached and 8 are not.
Row cached(uint32_t tokens) {
    Row row = waiting(8);
    row.cached = tokens;
    return row;
}

TEST(PrefixPlugin, LongestCachedPrefixFirst) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.running_max = 3;
    for (uint32_t tokens : {0u, 32u, 320u, 64u})
        add(view, cached(tokens));
    EXPECT_EQ(policy.run(view), (Rows{2, 3, 1}));
}

TEST(PrefixPlugin, TheOrderHoldsInAQueueOfThousands) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.running_max = 1;
    for (uint32_t i = 0; i < 4000; ++i)
        add(view, cached(i == 3999 ? 64 : 16));
    EXPECT_EQ(policy.run(view), (Rows{3999}));
}

TEST(PrefixPlugin, ASecondOfWaitingIsWorthTokens) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.running_max = 1;
    view.age_weight = 100;
    add(view, cached(0));
    add(view, cached(160));
    EXPECT_EQ(policy.run(view), (Rows{1}));
    view.age_ms[0] = 1'500;
    EXPECT_EQ(policy.run(view), (Rows{1}));
    view.age_ms[0] = 1'700;
    EXPECT_EQ(policy.run(view), (Rows{0}));
}

TEST(PrefixPlugin, WithoutAWeightTheOldestStillGetsItsTurn) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.running_max = 1;
    view.age_weight = 0;
    add(view, cached(0));
    add(view, cached(160));
    view.age_ms[0] = kAgeMaxMs;
    EXPECT_EQ(policy.run(view), (Rows{1}));
    view.age_ms[0] = kAgeMaxMs + 1;
    EXPECT_EQ(policy.run(view), (Rows{0}));
}

TEST(PrefixPlugin, PriorityComesBeforeThePrefix) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.running_max = 1;
    add(view, cached(320));
    add(view, cached(0));
    view.priority[1] = 1;
    EXPECT_EQ(policy.run(view), (Rows{1}));
}

TEST(PrefixPlugin, TheFirstOfAGroupFillsTheCacheForTheRest) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.token_budget = 2048;
    add(view, waiting(100));
    for (uint32_t shared : {31u, 32u, 90u}) {
        Row row = waiting(100);
        row.shared = shared;
        add(view, row);
    }
    EXPECT_EQ(policy.run(view), (Rows{0, 1}));
    // Cached as far as it is shared: nothing to wait for.
    view.cached_tokens[3] = 80;
    view.tokens_left[3] = 20;
    EXPECT_EQ(policy.run(view), (Rows{3, 0, 1}));
    // An old one waits no longer.
    view.age_ms[2] = 10'000;
    EXPECT_EQ(policy.run(view), (Rows{2, 3, 0, 1}));
}

TEST(PrefixPlugin, ShareTokensIsAnOption) {
    InstalledPolicy policy("prefix", {{"share_tokens", "64"}});
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    view.token_budget = 2048;
    add(view, waiting(100));
    for (uint32_t shared : {63u, 64u}) {
        Row row = waiting(100);
        row.shared = shared;
        add(view, row);
    }
    EXPECT_EQ(policy.run(view), (Rows{0, 1}));
    const auto made = make_policy("prefix", {{"share_tokens", "0"}});
    ASSERT_FALSE(made.ok());
    EXPECT_NE(made.error().message.find(
                  "Option 'share_tokens' is '0', wanted a whole number from 1 to 1000000."),
              std::string::npos)
        << made.error().message;
}

TEST(PrefixPlugin, ItWaitsOnlyWhileSomethingElseRuns) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    SchedView view = roomy();
    Row row = waiting(100);
    row.shared = 90;
    add(view, row);
    EXPECT_EQ(policy.run(view), (Rows{0}));
}

TEST(PrefixPlugin, RandomViewsGiveLegalPlansAndTheSameOnesAgain) {
    InstalledPolicy policy("prefix"), another("prefix");
    ASSERT_TRUE(policy && another);
    std::mt19937_64 random(31);
    SchedPlan plan, again;
    int differs = 0;
    for (int i = 0; i < 100'000; ++i) {
        const SchedView view = random_view(random);
        policy.plan(view, plan);
        ASSERT_EQ(find_fault(view, plan), "") << describe(view);
        another.plan(view, again);
        ASSERT_TRUE(plan.run == again.run && plan.tokens == again.tokens &&
                    plan.preempt == again.preempt);
        plan_fcfs(view, again);
        differs += plan.run != again.run;
    }
    EXPECT_GT(differs, 1'000);
}

TEST(PrefixPlugin, TinyPoolsFinishEverything) {
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    std::mt19937_64 random(32);
    uint32_t retractions = 0;
    for (int i = 0; i < 30; ++i) {
        SimulatedEngine engine;
        engine.blocks = 8 + static_cast<uint32_t>(random() % 24);
        engine.running_max = 1 + static_cast<uint32_t>(random() % 16);
        engine.token_budget = 1 + static_cast<uint32_t>(random() % 200);
        engine.new_token_ratio = 0.1f;
        engine.requests = random_requests(random, 100, engine.blocks * engine.block_tokens);
        engine.run([&](SchedView& view, SchedPlan& plan) { policy.plan(view, plan); }, 200'000);
        if (HasFatalFailure()) FAIL() << "pool " << i;
        retractions += engine.retractions;
        for (const SimulatedRequest& r : engine.requests)
            ASSERT_EQ(r.generated, r.output);
    }
    EXPECT_GT(retractions, 50u);
}

// Ten groups of ten that arrive together, each with a prefix of its own: the first of a group
// computes it, the others take it from the cache.
TEST(PrefixPlugin, ComputesASharedPrefixOnce) {
    const auto computed = [](const SimulatedEngine::Planner& planner) {
        SimulatedEngine engine;
        engine.blocks = 2000;
        engine.running_max = 100;
        engine.token_budget = 8192;
        for (uint32_t i = 0; i < 100; ++i) {
            SimulatedRequest r;
            r.group = 1 + i % 10;
            r.prompt = 420;
            r.prefix = 400;
            r.output = 4;
            engine.requests.push_back(r);
        }
        engine.run(planner, 10'000);
        return engine.computed_tokens;
    };
    InstalledPolicy policy("prefix");
    ASSERT_TRUE(policy);
    const uint64_t ours =
        computed([&](SchedView& view, SchedPlan& plan) { policy.plan(view, plan); });
    const uint64_t fcfs = computed([](SchedView& view, SchedPlan& plan) { plan_fcfs(view, plan); });
    // 10 prefixes, and 20 + 3 tokens of each request.
    EXPECT_EQ(ours, 10u * 400 + 100u * 23);
    EXPECT_GT(fcfs, ours);
}

}  // namespace
}  // namespace tenon::sched
