// The built-in policy drives thousands of requests to their end through pools that are too small for
// them: nothing is lost, doubled, leaked or left to starve.
#include <gtest/gtest.h>

#include "core/sched/fcfs.h"
#include "tests/core/sched/simulated_engine.h"

namespace tenon::sched {
namespace {

SimulatedEngine::Planner built_in() {
    auto fcfs = std::make_shared<Fcfs>();
    return [fcfs](SchedView& view, SchedPlan& plan) { fcfs->plan(view, plan); };
}

void expect_all_done(const SimulatedEngine& engine) {
    for (const SimulatedRequest& r : engine.requests)
        ASSERT_EQ(r.generated, r.output);
}

TEST(FcfsSimulation, TinyPoolsFinishEverything) {
    std::mt19937_64 random(11);
    uint32_t retractions = 0;
    for (int i = 0; i < 60; ++i) {
        SimulatedEngine engine;
        engine.block_tokens = i % 3 == 0 ? 32 : 16;
        engine.blocks = 8 + static_cast<uint32_t>(random() % 24);
        engine.running_max = 1 + static_cast<uint32_t>(random() % 16);
        engine.token_budget = 1 + static_cast<uint32_t>(random() % 200);
        engine.prefill_bias = static_cast<float>(i % 5) / 4;
        engine.new_token_ratio = i % 2 == 0 ? 0.1f : 0.7f;
        engine.key_blocks_max = i % 4 == 0 ? engine.blocks / 2 : 0;
        engine.requests = random_requests(random, 100, engine.blocks * engine.block_tokens);
        engine.run(built_in(), 200'000);
        if (HasFatalFailure()) FAIL() << "pool " << i;
        expect_all_done(engine);
        retractions += engine.retractions;
        EXPECT_LE(engine.skipped_most, kSkippedMax + 1);
    }
    EXPECT_GT(retractions, 100u);
}

TEST(FcfsSimulation, ThreeThousandRequestsOnOneEngine) {
    std::mt19937_64 random(12);
    SimulatedEngine engine;
    engine.blocks = 40;
    engine.requests = random_requests(random, 3000, 300);
    for (SimulatedRequest& r : engine.requests)
        r.arrival *= 4;
    engine.run(built_in(), 1'000'000);
    expect_all_done(engine);
    EXPECT_GT(engine.retractions, 10u);
}

TEST(FcfsSimulation, ALowPriorityIsNotStarvedByAnEndlessStreamOfHighOnes) {
    SimulatedEngine engine;
    engine.running_max = 2;
    SimulatedRequest low;
    low.prompt = 20;
    low.output = 4;
    low.priority = -1;
    // Two at a time of nine steps each, one arriving every four: more than can be served.
    for (uint32_t i = 0; i < 800; ++i) {
        SimulatedRequest high = low;
        high.priority = 1;
        high.output = 9;
        high.arrival = i * 4;
        engine.requests.push_back(high);
    }
    low.arrival = 400;
    engine.requests.insert(engine.requests.begin() + 100, low);
    engine.run(built_in(), 100'000);
    for (const SimulatedRequest& r : engine.requests) {
        if (r.priority != -1) continue;
        const uint32_t waited_ms = (r.admitted_at - r.arrival) * engine.step_ms;
        EXPECT_GT(waited_ms, kAgeMaxMs);
        EXPECT_LT(waited_ms, kAgeMaxMs * 2);
    }
    expect_all_done(engine);
}

}  // namespace
}  // namespace tenon::sched
