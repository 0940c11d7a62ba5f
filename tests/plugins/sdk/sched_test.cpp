// A policy written with the SDK alone: its table, its edges, a plan of its own.
#include <gtest/gtest.h>
#include <tenon/plugin.hpp>

#include <array>
#include <stdexcept>
#include <string>

namespace {

namespace sdk = tenon::sdk;

// Runs every row that may run with one token, and preempts what is paused.
class OneEach {
public:
    static sdk::Status create(sdk::Span<const tenon_option> options,
                              std::unique_ptr<OneEach>& policy) {
        auto made = std::make_unique<OneEach>();
        sdk::OptionReader reader(options);
        reader.boolean("throw", &made->throws_);
        TENON_SDK_CHECK(reader.finish());
        policy = std::move(made);
        return {};
    }
    ~OneEach() { ++destroyed; }

    sdk::Status plan(const tenon_sched_view& view, tenon_sched_plan& plan) {
        if (throws_) throw std::runtime_error("no plan today");
        sdk::PlanWriter writer(plan);
        for (uint32_t row = 0; row < view.n_rows; ++row) {
            if (view.state[row] == TENON_SCHED_PAUSED) writer.preempt(row);
            if (view.state[row] == TENON_SCHED_RUNNING) writer.run(row, 1);
        }
        return {};
    }

    static inline int destroyed = 0;

private:
    bool throws_ = false;
};

// Three rows on the stack: running, waiting, paused.
struct Case {
    std::array<uint32_t, 3> state = {TENON_SCHED_RUNNING, TENON_SCHED_WAITING, TENON_SCHED_PAUSED};
    std::array<uint32_t, 3> zero = {};
    std::array<uint32_t, 3> one = {1, 1, 1};
    std::array<int32_t, 3> priority = {};
    std::array<uint32_t, 3> run = {}, tokens = {}, preempt = {};
    tenon_sched_view view = {};
    tenon_sched_plan plan = {};
    tenon_error error = {};

    Case() {
        error.size = sizeof error;
        view.size = sizeof view;
        view.n_rows = 3;
        view.block_tokens = 16;
        view.token_budget = 8;
        view.running_max = 4;
        view.blocks_free = 4;
        view.state = state.data();
        view.tokens_left = one.data();
        for (auto* column :
             {&view.computed, &view.cached_tokens, &view.shared_tokens, &view.generated,
              &view.output_left, &view.blocks_held, &view.blocks_locked, &view.key, &view.age_ms,
              &view.skipped, &view.deadline_ms}) {
            *column = zero.data();
        }
        view.priority = priority.data();
        plan.size = sizeof plan;
        plan.capacity = 3;
        plan.run = run.data();
        plan.tokens = tokens.data();
        plan.preempt = preempt.data();
    }
    Case(const Case&) = delete;
    Case& operator=(const Case&) = delete;
};

const tenon_sched_table& table() { return *sdk::Sched<OneEach>::table(); }

tenon_sched_policy* make(const char* throws = "false") {
    const tenon_option option = {sdk::str("throw"), sdk::str(throws)};
    tenon_sched_policy* policy = nullptr;
    tenon_error error{};
    error.size = sizeof error;
    EXPECT_EQ(table().create(&option, 1, &policy, &error), TENON_OK) << error.msg;
    return policy;
}

TEST(SdkSched, PlansAndIsDestroyed) {
    tenon_sched_policy* policy = make();
    Case c;
    c.plan.n_run = 77;  // the table starts the counts anew
    ASSERT_EQ(table().plan(policy, &c.view, &c.plan, &c.error), TENON_OK) << c.error.msg;
    EXPECT_EQ(c.plan.n_run, 1u);
    EXPECT_EQ(c.plan.run[0], 0u);
    EXPECT_EQ(c.plan.tokens[0], 1u);
    EXPECT_EQ(c.plan.n_preempt, 1u);
    EXPECT_EQ(c.plan.preempt[0], 2u);
    const int before = OneEach::destroyed;
    table().destroy(policy);
    EXPECT_EQ(OneEach::destroyed, before + 1);
}

TEST(SdkSched, UnknownOptionsAndNullsAreNamed) {
    const tenon_option option = {sdk::str("depth"), sdk::str("3")};
    tenon_sched_policy* policy = nullptr;
    Case c;
    EXPECT_EQ(table().create(&option, 1, &policy, &c.error), TENON_INVALID);
    EXPECT_STREQ(c.error.msg, "Unknown option 'depth'; known are: throw.");
    EXPECT_EQ(policy, nullptr);
    EXPECT_EQ(table().create(&option, 1, nullptr, &c.error), TENON_INVALID);
    EXPECT_STREQ(c.error.msg, "policy is null.");
    EXPECT_EQ(table().create(nullptr, 1, &policy, &c.error), TENON_INVALID);
    EXPECT_STREQ(c.error.msg, "options is null.");
    EXPECT_EQ(table().plan(nullptr, &c.view, &c.plan, &c.error), TENON_INVALID);
    EXPECT_STREQ(c.error.msg, "policy is null.");
}

TEST(SdkSched, TornViewsNeverReachThePolicy) {
    tenon_sched_policy* policy = make();
    const auto refusal = [&](const auto& bend) {
        Case c;
        bend(c);
        EXPECT_NE(table().plan(policy, &c.view, &c.plan, &c.error), TENON_OK);
        return std::string(c.error.msg);
    };
    EXPECT_EQ(refusal([](Case& c) { c.view.size = 8; }),
              "tenon_sched_view has size 8, this plugin needs 160.");
    EXPECT_EQ(refusal([](Case& c) { c.plan.size = 0; }),
              "tenon_sched_plan has size 0, this plugin needs 40.");
    EXPECT_EQ(refusal([](Case& c) { c.plan.capacity = 2; }),
              "The plan has room for 2 rows, the view has 3.");
    EXPECT_EQ(refusal([](Case& c) { c.view.block_tokens = 0; }), "block_tokens is 0.");
    EXPECT_EQ(refusal([](Case& c) { c.view.deadline_ms = nullptr; }),
              "A column of the view or the plan is null.");
    EXPECT_EQ(refusal([](Case& c) { c.plan.preempt = nullptr; }),
              "A column of the view or the plan is null.");
    table().destroy(policy);
}

TEST(SdkSched, AnEmptyViewNeedsNoColumns) {
    tenon_sched_policy* policy = make();
    Case c;
    c.view.n_rows = 0;
    c.view.state = nullptr;
    c.plan.run = nullptr;
    EXPECT_EQ(table().plan(policy, &c.view, &c.plan, &c.error), TENON_OK);
    table().destroy(policy);
}

TEST(SdkSched, WhatAPolicyThrowsBecomesAnError) {
    tenon_sched_policy* policy = make("true");
    Case c;
    EXPECT_EQ(table().plan(policy, &c.view, &c.plan, &c.error), TENON_INTERNAL);
    EXPECT_STREQ(c.error.msg, "The plugin threw an exception: no plan today");
    table().destroy(policy);
}

TEST(SdkSched, TheWriterStopsWhereThePlanEnds) {
    Case c;
    sdk::PlanWriter writer(c.plan);
    for (uint32_t i = 0; i < 9; ++i) {
        writer.run(i, 1);
        writer.preempt(i);
    }
    EXPECT_EQ(c.plan.n_run, 3u);
    EXPECT_EQ(c.plan.n_preempt, 3u);
    EXPECT_EQ(c.plan.run[2], 2u);
}

}  // namespace
