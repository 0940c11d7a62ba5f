// Every clause of a legal plan, driven by a plan that breaks it and one that just keeps it.
#include "core/sched/plan_check.h"

#include <gtest/gtest.h>

#include "core/sched/fcfs.h"
#include "tests/core/sched/views.h"

namespace tenon::sched {
namespace {

using Rows = std::vector<uint32_t>;

// 0 and 1 decode with 2 blocks each, 2 is in its prompt, 3 is paused, 4 and 5 wait.
SchedView mixed() {
    SchedView view = roomy();
    add(view, decoding(20));
    add(view, decoding(32));
    add(view, prefilling(16, 50));
    Row paused = decoding(20);
    paused.state = SequenceState::kPaused;
    add(view, paused);
    add(view, waiting(40));
    add(view, waiting(10));
    return view;
}

std::string fault(const SchedView& view, const Rows& run, const Rows& tokens,
                  const Rows& preempt = {}) {
    SchedPlan plan;
    plan.run = run;
    plan.tokens = tokens;
    plan.preempt = preempt;
    return find_fault(view, plan);
}

TEST(PlanCheck, TakesLegalPlans) {
    const SchedView view = mixed();
    EXPECT_EQ(fault(view, {0, 1, 2, 4}, {1, 1, 50, 12}), "");
    EXPECT_EQ(fault(view, {5, 4}, {10, 3}), "");
    EXPECT_EQ(fault(view, {0}, {1}, {3, 2, 1}), "");
    EXPECT_EQ(fault(SchedView(), {}, {}), "");
}

TEST(PlanCheck, RefusesRowsThatAreNotThere) {
    EXPECT_EQ(fault(mixed(), {6}, {1}), "The plan runs row 6 of 6.");
    EXPECT_EQ(fault(mixed(), {0}, {1}, {UINT32_MAX}), "The plan preempts row 4294967295 of 6.");
}

TEST(PlanCheck, RefusesMissingTokens) {
    EXPECT_EQ(fault(mixed(), {0, 1}, {1}), "The plan runs 2 rows and gives tokens to 1.");
}

TEST(PlanCheck, RefusesRowsNamedTwice) {
    EXPECT_EQ(fault(mixed(), {2, 0, 2}, {10, 1, 10}), "The plan runs row 2 twice.");
    EXPECT_EQ(fault(mixed(), {0}, {1}, {3, 3}), "The plan preempts row 3 twice.");
    EXPECT_EQ(fault(mixed(), {0, 1}, {1, 1}, {1}), "The plan both runs and preempts row 1.");
}

TEST(PlanCheck, RefusesStatesThatCannotBe) {
    EXPECT_EQ(fault(mixed(), {0, 3}, {1, 1}), "The plan runs row 3, which is paused.");
    EXPECT_EQ(fault(mixed(), {0}, {1}, {4}),
              "The plan preempts row 4, which waits and holds nothing.");
}

TEST(PlanCheck, RefusesTokensOutOfRange) {
    EXPECT_EQ(fault(mixed(), {0}, {2}), "The plan gives row 0 2 tokens, 1 to 1 are legal.");
    EXPECT_EQ(fault(mixed(), {2}, {0}), "The plan gives row 2 0 tokens, 1 to 50 are legal.");
    EXPECT_EQ(fault(mixed(), {2}, {51}), "The plan gives row 2 51 tokens, 1 to 50 are legal.");
}

TEST(PlanCheck, RefusesMoreThanTheBudget) {
    EXPECT_EQ(fault(mixed(), {2, 4}, {50, 14}), "");
    EXPECT_EQ(fault(mixed(), {2, 4}, {50, 15}), "The plan runs 65 tokens, the budget is 64.");
}

TEST(PlanCheck, SumsOfTokensDoNotWrap) {
    SchedView view = roomy();
    for (int i = 0; i < 2; ++i)
        add(view, waiting(0x80000000u));
    EXPECT_EQ(fault(view, {0, 1}, {0x80000000u, 0x80000000u}),
              "The plan runs 4294967296 tokens, the budget is 64.");
}

TEST(PlanCheck, RefusesMoreHoldersThanMay) {
    SchedView view = mixed();
    view.running_max = 5;
    EXPECT_EQ(fault(view, {0, 4}, {1, 1}), "");
    EXPECT_EQ(fault(view, {0, 4, 5}, {1, 1, 1}),
              "After the plan 6 sequences hold blocks, at most 5 may.");
    EXPECT_EQ(fault(view, {0, 4, 5}, {1, 1, 1}, {3}), "");
    view.running_max = 2;  // more hold blocks already: nobody is admitted, the others go on
    EXPECT_EQ(fault(view, {0, 1}, {1, 1}), "");
}

TEST(PlanCheck, RefusesMoreBlocksThanThereAre) {
    SchedView view = mixed();
    view.blocks_free = 2;
    view.blocks_evictable = 1;
    EXPECT_EQ(fault(view, {0, 1, 2}, {1, 1, 32}), "");  // 0 + 1 + 2
    EXPECT_EQ(fault(view, {0, 1, 2}, {1, 1, 33}),
              "The plan needs or locks 4 blocks, 3 are free, evictable or given back.");
    EXPECT_EQ(fault(view, {0, 1, 2}, {1, 1, 33}, {3}), "");
    view.cached_tokens[5] = 32;
    view.blocks_locked[5] = 2;
    EXPECT_EQ(fault(view, {5}, {10}), "");
    view.blocks_locked[5] = 3;
    EXPECT_EQ(fault(view, {5}, {10}),
              "The plan needs or locks 4 blocks, 3 are free, evictable or given back.");
}

TEST(PlanCheck, RefusesToLeaveOutWhatIsDue) {
    SchedView view = mixed();
    view.skipped[1] = kSkippedMax - 1;
    EXPECT_EQ(fault(view, {0}, {1}), "");
    view.skipped[1] = kSkippedMax;
    const char* sentence =
        "The plan leaves out row 1, which is in decode and was left out of 64 steps in a row.";
    EXPECT_EQ(fault(view, {0}, {1}), sentence);
    EXPECT_EQ(fault(view, {0, 1}, {1, 1}), "");
    EXPECT_EQ(fault(view, {0}, {1}, {1}), "");  // retracted: it has its turn as a waiting one
    view.token_budget = 1;
    EXPECT_EQ(fault(view, {0}, {1}), sentence);  // its place went to one that is not due
    view.skipped[0] = kSkippedMax;
    EXPECT_EQ(fault(view, {0}, {1}), "");
    view.skipped[0] = 0;
    view.blocks_free = 0;  // row 1 needs a block and there is none
    EXPECT_EQ(fault(view, {0}, {1}), "");
}

TEST(PlanCheck, RefusesToPassOverTheOldest) {
    SchedView view = mixed();
    view.age_ms[4] = kAgeMaxMs;
    EXPECT_EQ(fault(view, {0, 5}, {1, 10}), "");
    view.age_ms[4] = kAgeMaxMs + 1;
    EXPECT_EQ(fault(view, {0, 5}, {1, 10}),
              "The plan admits row 5 before row 4, which has waited for 20001 ms and fits.");
    EXPECT_EQ(fault(view, {0, 4}, {1, 10}), "");
    EXPECT_EQ(fault(view, {0}, {1}), "");  // nobody is admitted: nobody passed it
    SchedView full = view;
    full.blocks_free = 1;
    full.cached_tokens[4] = 32;
    full.blocks_locked[4] = 1;
    EXPECT_EQ(fault(full, {0, 5}, {1, 10}), "");  // it would not fit
    // Its key has had its share.
    view.key_blocks_max = 8;
    view.key[5] = 1;
    EXPECT_EQ(fault(view, {0, 5}, {1, 10}), "");
    view.key[5] = 0;
    EXPECT_NE(fault(view, {0, 5}, {1, 10}), "");
}

TEST(PlanCheck, RefusesToRunNothing) {
    SchedView view = mixed();
    EXPECT_EQ(fault(view, {}, {}), "The plan runs nothing, row 0 could run.");
    EXPECT_EQ(fault(view, {}, {}, {0, 1, 2, 3}), "The plan runs nothing, row 0 could run.");
    view.token_budget = 0;
    EXPECT_EQ(fault(view, {}, {}), "");
}

TEST(PlanCheck, RunningNothingIsLegalWhereNothingCanRun) {
    SchedView alone = roomy();
    alone.blocks_free = 0;
    add(alone, decoding(32));
    EXPECT_EQ(fault(alone, {}, {}), "");  // the last one is not retracted
    add(alone, waiting(10));
    EXPECT_EQ(fault(alone, {}, {}), "");
    add(alone, decoding(32));
    EXPECT_EQ(fault(alone, {}, {}), "The plan runs nothing, row 0 could run.");

    SchedView paused = roomy();
    paused.blocks_free = 0;
    add(paused, decoding(32));
    paused.state[0] = static_cast<uint32_t>(SequenceState::kPaused);
    EXPECT_EQ(fault(paused, {}, {}), "");
    add(paused, waiting(10));
    EXPECT_EQ(fault(paused, {}, {}), "The plan runs nothing, row 1 could run.");
    paused.blocks_locked[1] = 2;
    EXPECT_EQ(fault(paused, {}, {}), "");
    paused.blocks_locked[1] = 0;
    paused.running_max = 0;
    EXPECT_EQ(fault(paused, {}, {}), "");
}

// A legal plan with one thing changed at random is refused, or is legal for a reason that a second
// look at the view confirms: no mutant makes the check read outside of the view.
TEST(PlanCheck, SurvivesMutants) {
    std::mt19937_64 random(5);
    const auto below = [&](size_t n) { return static_cast<uint32_t>(random() % n); };
    Fcfs fcfs;
    PlanCheck check;
    size_t refused = 0;
    for (int i = 0; i < 50'000; ++i) {
        const SchedView view = random_view(random);
        SchedPlan plan;
        fcfs.plan(view, plan);
        if (plan.run.empty()) continue;
        const uint32_t at = below(plan.run.size());
        bool must_fail = true;
        switch (below(6)) {
            case 0: plan.run[at] = static_cast<uint32_t>(view.size()) + below(3); break;
            case 1: plan.tokens[at] = 0; break;
            case 2: plan.tokens[at] = view.tokens_left[plan.run[at]] + 1 + below(9); break;
            case 3: plan.preempt.push_back(plan.run[at]); break;
            case 4:
                plan.run.push_back(plan.run[at]);
                plan.tokens.push_back(1);
                break;
            default:
                plan.run.erase(plan.run.begin() + at);
                plan.tokens.erase(plan.tokens.begin() + at);
                must_fail = plan.run.empty() && plan.preempt.empty();
        }
        const bool legal = check.find_fault(view, plan).empty();
        ASSERT_FALSE(must_fail && legal) << describe(view);
        if (!legal) ++refused;
    }
    EXPECT_GT(refused, 30'000u);
}

}  // namespace
}  // namespace tenon::sched
