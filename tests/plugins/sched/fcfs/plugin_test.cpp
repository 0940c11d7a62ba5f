// The plugin fcfs, loaded from the build: the same plans as the built-in policy, through the ABI.
#include <gtest/gtest.h>

#include "core/sched/fcfs.h"
#include "tests/core/sched/simulated_engine.h"
#include "tests/plugins/sched/installed_policy.h"

namespace tenon::sched {
namespace {

TEST(FcfsPlugin, IsListedAsASchedulingPolicy) {
    const host::Candidate* candidate = installed_plugins().find("fcfs");
    ASSERT_NE(candidate, nullptr);
    EXPECT_EQ(candidate->kinds, std::vector<std::string>{"sched"});
    EXPECT_TRUE(candidate->options.empty());
    const auto backend = installed_plugins().load("fcfs");
    ASSERT_FALSE(backend.ok());
    EXPECT_EQ(backend.error().message, "Plugin fcfs is no backend; its manifest says: sched.");
}

TEST(FcfsPlugin, AnUnknownPolicyIsNamedBesideTheOnesThatExist) {
    const auto made = make_policy("fifo");
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().message.rfind("There is no scheduler 'fifo'; found: fcfs, prefix.", 0),
              0u)
        << made.error().message;
}

TEST(FcfsPlugin, TakesNoOption) {
    const auto made = make_policy("fcfs", {{"depth", "3"}});
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.error().code, Code::kInvalid);
    EXPECT_NE(made.error().message.find("Unknown option 'depth'; known are: none."),
              std::string::npos)
        << made.error().message;
}

TEST(FcfsPlugin, PlansWhatTheBuiltInPlans) {
    InstalledPolicy policy("fcfs");
    ASSERT_TRUE(policy);
    Fcfs built_in;
    std::mt19937_64 random(21);
    SchedPlan plan, wanted;
    for (int i = 0; i < 100'000; ++i) {
        const SchedView view = random_view(random);
        policy.plan(view, plan);
        built_in.plan(view, wanted);
        ASSERT_TRUE(plan.run == wanted.run && plan.tokens == wanted.tokens &&
                    plan.preempt == wanted.preempt)
            << describe(view);
        ASSERT_EQ(find_fault(view, plan), "") << describe(view);
    }
}

TEST(FcfsPlugin, RefusesAPlanWithoutRoom) {
    const auto policy = make_policy("fcfs");
    ASSERT_TRUE(policy.ok());
    SchedView view = roomy();
    add(view, decoding(20));
    add(view, decoding(20));
    SchedPlan plan;
    tenon_sched_plan out = open_plan(plan, 1);
    Status status = (*policy)->plan(to_abi(view), out);
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("The plan has room for 1 rows, the view has 2."),
              std::string::npos);
    out = open_plan(plan, 2);
    tenon_sched_view torn = to_abi(view);
    torn.priority = nullptr;
    status = (*policy)->plan(torn, out);
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find("A column of the view or the plan is null."),
              std::string::npos);
}

TEST(FcfsPlugin, ServesThroughTheScheduler) {
    auto policy = make_policy("fcfs");
    ASSERT_TRUE(policy.ok());
    Scheduler scheduler(std::move(policy).value(), {});
    std::mt19937_64 random(22);
    SimulatedEngine engine;
    engine.blocks = 40;
    engine.requests = random_requests(random, 300, 300);
    engine.run([&](SchedView& view, SchedPlan& plan) { scheduler.plan(view, plan); }, 100'000);
    EXPECT_EQ(scheduler.plans_refused(), 0u) << scheduler.last_fault();
    EXPECT_EQ(scheduler.effective_policy(), "fcfs");
}

}  // namespace
}  // namespace tenon::sched
