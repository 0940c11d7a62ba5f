// The scheduler around a policy: what it fills in, and what it does with a policy that misbehaves.
#include "core/sched/scheduler.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <new>

#include "tests/core/sched/views.h"

namespace {
std::atomic<uint64_t> g_allocations{0};
}

// Counts; everything else in this program allocates through it too.
[[gnu::noinline]] void* operator new(std::size_t bytes) {
    ++g_allocations;
    if (void* p = std::malloc(bytes == 0 ? 1 : bytes)) return p;
    throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }

namespace tenon::sched {
namespace {

int64_t g_now_us = 0;
int64_t fake_now_us() { return g_now_us; }

// A policy of this process: `answer` is what it does.
struct Scripted {
    std::function<int32_t(const tenon_sched_view&, tenon_sched_plan&, tenon_error*)> answer;
    int asked = 0;
    bool destroyed = false;

    std::unique_ptr<host::SchedPolicy> policy() {
        static const tenon_sched_table table = {
            sizeof(tenon_sched_table), nullptr,
            [](tenon_sched_policy* p, const tenon_sched_view* view, tenon_sched_plan* plan,
               tenon_error* err) {
                auto* self = reinterpret_cast<Scripted*>(p);
                ++self->asked;
                return self->answer(*view, *plan, err);
            },
            [](tenon_sched_policy* p) { reinterpret_cast<Scripted*>(p)->destroyed = true; }};
        return std::make_unique<host::SchedPolicy>("scripted", &table,
                                                   reinterpret_cast<tenon_sched_policy*>(this));
    }
};

SchedulerOptions with_clock() {
    g_now_us = 1'000'000'000;
    SchedulerOptions options;
    options.now_us = fake_now_us;
    return options;
}

int32_t runs_row_zero(const tenon_sched_view&, tenon_sched_plan& plan, tenon_error*) {
    plan.n_run = 1;
    plan.run[0] = 0;
    plan.tokens[0] = 1;
    return TENON_OK;
}
int32_t runs_row_nine(const tenon_sched_view&, tenon_sched_plan& plan, tenon_error*) {
    plan.n_run = 1;
    plan.run[0] = 9;
    plan.tokens[0] = 1;
    return TENON_OK;
}

SchedView two_in_decode() {
    SchedView view = roomy();
    add(view, decoding(20));
    add(view, decoding(20));
    return view;
}

TEST(Scheduler, WithoutAPolicyTheBuiltInPlans) {
    Scheduler scheduler(nullptr, with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    scheduler.plan(view, plan);
    EXPECT_EQ(plan.run.size(), 2u);
    EXPECT_EQ(scheduler.effective_policy(), "built-in");
    EXPECT_EQ(scheduler.plans_refused(), 0u);
    EXPECT_EQ(scheduler.last_fault(), "");
}

TEST(Scheduler, UsesALegalPlanAndOwnsThePolicy) {
    Scripted scripted{runs_row_zero};
    {
        Scheduler scheduler(scripted.policy(), with_clock());
        EXPECT_EQ(scheduler.effective_policy(), "scripted");
        SchedView view = two_in_decode();
        SchedPlan plan;
        scheduler.plan(view, plan);
        EXPECT_EQ(plan.run, (std::vector<uint32_t>{0}));
        EXPECT_EQ(plan.tokens, (std::vector<uint32_t>{1}));
        EXPECT_EQ(scheduler.effective_policy(), "scripted");
        EXPECT_FALSE(scripted.destroyed);
    }
    EXPECT_TRUE(scripted.destroyed);
}

TEST(Scheduler, ThePolicySeesTheView) {
    Scripted scripted;
    scripted.answer = [](const tenon_sched_view& v, tenon_sched_plan& plan, tenon_error* err) {
        EXPECT_EQ(v.size, sizeof v);
        EXPECT_EQ(v.n_rows, 2u);
        EXPECT_EQ(plan.capacity, 2u);
        EXPECT_EQ(v.computed[1], 20u);
        EXPECT_EQ(v.blocks_held[0], 2u);
        EXPECT_EQ(v.state[0], uint32_t{TENON_SCHED_RUNNING});
        EXPECT_EQ(v.deadline_ms[1], UINT32_MAX);
        EXPECT_FLOAT_EQ(v.new_token_ratio, 0.7f);
        EXPECT_EQ(v.token_budget, 2u + 256u);
        return runs_row_zero(v, plan, err);
    };
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    scheduler.plan(view, plan);
    EXPECT_EQ(scripted.asked, 1);
}

TEST(Scheduler, AnIllegalPlanIsReplacedForThatStep) {
    Scripted scripted{runs_row_nine};
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    scheduler.plan(view, plan);
    EXPECT_EQ(plan.run.size(), 2u);
    EXPECT_EQ(scheduler.effective_policy(), "built-in");
    EXPECT_EQ(scheduler.plans_refused(), 1u);
    EXPECT_EQ(scheduler.last_fault(), "Policy scripted: The plan runs row 9 of 2.");
    scripted.answer = runs_row_zero;
    scheduler.plan(view, plan);
    EXPECT_EQ(scheduler.effective_policy(), "scripted");
    EXPECT_EQ(scheduler.plans_refused(), 1u);
}

TEST(Scheduler, AFailedPlanIsReplacedAndItsSentenceKept) {
    Scripted scripted;
    scripted.answer = [](const tenon_sched_view&, tenon_sched_plan&, tenon_error* err) -> int32_t {
        std::snprintf(err->msg, sizeof err->msg, "I lost my table.");
        return TENON_INTERNAL;
    };
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    scheduler.plan(view, plan);
    EXPECT_EQ(plan.run.size(), 2u);
    EXPECT_NE(scheduler.last_fault().find("I lost my table."), std::string::npos);
}

TEST(Scheduler, CountsBeyondTheRoomAreRefused) {
    Scripted scripted;
    scripted.answer = [](const tenon_sched_view&, tenon_sched_plan& plan, tenon_error*) -> int32_t {
        plan.n_run = 3;
        return TENON_OK;
    };
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    scheduler.plan(view, plan);
    EXPECT_EQ(plan.run.size(), 2u);
    EXPECT_EQ(scheduler.last_fault(),
              "Policy scripted: plan counts 3 rows to run and 0 to preempt; there is room for 2.");
}

TEST(Scheduler, FiveFaultsInARowOpenTheBreakerForAMinute) {
    Scripted scripted{runs_row_nine};
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    for (int i = 0; i < 4; ++i)
        scheduler.plan(view, plan);
    scripted.answer = runs_row_zero;  // a good one in between: the count starts again
    scheduler.plan(view, plan);
    scripted.answer = runs_row_nine;
    for (int i = 0; i < 5; ++i)
        scheduler.plan(view, plan);
    EXPECT_EQ(scripted.asked, 10);
    EXPECT_EQ(scheduler.last_fault(),
              "Policy scripted: The plan runs row 9 of 2. This was fault 5 in a row: the built-in "
              "policy plans for 60 s.");
    scripted.answer = runs_row_zero;
    g_now_us += kBreakerUs - 1;
    scheduler.plan(view, plan);
    EXPECT_EQ(scripted.asked, 10);
    EXPECT_EQ(scheduler.effective_policy(), "built-in");
    g_now_us += 1;
    scheduler.plan(view, plan);
    EXPECT_EQ(scripted.asked, 11);
    EXPECT_EQ(scheduler.effective_policy(), "scripted");
    EXPECT_EQ(scheduler.plans_refused(), 9u);
}

TEST(Scheduler, ALatePlanIsUsedButCounts) {
    Scripted scripted;
    scripted.answer = [](const tenon_sched_view& v, tenon_sched_plan& plan, tenon_error* err) {
        g_now_us += kPlanBudgetUs + 1;
        return runs_row_zero(v, plan, err);
    };
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view = two_in_decode();
    SchedPlan plan;
    for (int i = 0; i < 5; ++i) {
        scheduler.plan(view, plan);
        EXPECT_EQ(plan.run.size(), 1u);
    }
    EXPECT_EQ(scheduler.plans_late(), 5u);
    EXPECT_EQ(scheduler.plans_refused(), 0u);
    scheduler.plan(view, plan);
    EXPECT_EQ(plan.run.size(), 2u);
    EXPECT_EQ(scripted.asked, 5);
}

TEST(Scheduler, AnEmptyViewIsNotPlanned) {
    Scripted scripted{runs_row_zero};
    Scheduler scheduler(scripted.policy(), with_clock());
    SchedView view;
    SchedPlan plan;
    plan.run = {7};
    scheduler.plan(view, plan);
    EXPECT_TRUE(plan.run.empty());
    EXPECT_EQ(scripted.asked, 0);
}

// With and without a policy, with preemptions and admissions, once the largest view was seen.
TEST(Scheduler, PlanningAllocatesNothingInSteadyState) {
    Scripted scripted{runs_row_zero};
    for (const bool with_policy : {false, true}) {
        Scheduler scheduler(with_policy ? scripted.policy() : nullptr, with_clock());
        std::mt19937_64 random(6);
        std::vector<SchedView> views;
        while (views.size() < 200) {
            SchedView view = random_view(random);
            const bool legal = view.size() > 0 && view.state[0] == TENON_SCHED_RUNNING &&
                               blocks_needed(view, 0, 1) <= view.blocks_free;
            if (!with_policy || legal) views.push_back(view);
        }
        SchedPlan plan;
        uint64_t before = 0;
        for (int round = 0; round < 2; ++round) {
            before = g_allocations;
            for (SchedView& view : views) {
                for (uint32_t& skipped : view.skipped)
                    skipped = 0;
                for (uint32_t& age : view.age_ms)
                    age = 0;
                scheduler.plan(view, plan);
                scheduler.observe(64, 3, 1000, 30);
            }
            if (round == 0) {
                EXPECT_GT(g_allocations - before, 0u);
            }
        }
        EXPECT_EQ(g_allocations - before, 0u) << (with_policy ? "policy" : "built-in");
        EXPECT_EQ(scheduler.plans_refused(), 0u) << scheduler.last_fault();
    }
}

TEST(Scheduler, RatioDecaysToItsFloorRisesAfterARetractionAndStartsAgainWhenIdle) {
    Scheduler scheduler(nullptr, with_clock());
    EXPECT_DOUBLE_EQ(scheduler.new_token_ratio(), 0.7);
    for (int i = 0; i < 300; ++i)
        scheduler.on_decode_step();
    EXPECT_NEAR(scheduler.new_token_ratio(), (0.7 + 0.098) / 2, 1e-9);
    for (int i = 0; i < 400; ++i)
        scheduler.on_decode_step();
    EXPECT_NEAR(scheduler.new_token_ratio(), 0.098, 1e-9);
    scheduler.on_retract(100, 1999, 5);
    EXPECT_DOUBLE_EQ(scheduler.new_token_ratio(), 0.1);
    scheduler.on_retract(100, 50, 5);
    EXPECT_DOUBLE_EQ(scheduler.new_token_ratio(), 1);
    scheduler.on_idle();
    EXPECT_DOUBLE_EQ(scheduler.new_token_ratio(), 0.7);

    SchedulerOptions options = with_clock();
    options.schedule_conservativeness = 3;
    EXPECT_DOUBLE_EQ(Scheduler(nullptr, options).new_token_ratio(), 1);
}

TEST(Scheduler, TheCeilingBoundsPromptsAndDecodeComesOnTop) {
    SchedulerOptions options = with_clock();
    options.chunked_prefill_size = 16;
    Scheduler scheduler(nullptr, options);
    SchedView view = roomy();
    view.running_max = 32;
    for (int i = 0; i < 24; ++i)
        add(view, decoding(20));
    add(view, prefilling(0, 500));
    SchedPlan plan;
    scheduler.plan(view, plan);
    EXPECT_EQ(view.token_budget, 32u);  // never above max(chunked_prefill_size, running_max)
    EXPECT_EQ(plan.run.size(), 25u);
    view.clear();
    add(view, prefilling(0, 500));
    scheduler.plan(view, plan);
    EXPECT_EQ(plan.tokens, (std::vector<uint32_t>{16}));
}

}  // namespace
}  // namespace tenon::sched
