// An engine without a model: requests, a pool of blocks and a cache of shared prefixes, driven by
// plans. It checks every plan and its own books at each step.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <vector>

#include "core/sched/scheduler.h"
#include "tests/core/sched/views.h"

namespace tenon::sched {

struct SimulatedRequest {
    uint32_t prompt = 1;
    uint32_t output = 1;
    uint32_t group = 0;    // requests of a group share a prefix
    uint32_t prefix = 0;   // tokens of it, at most prompt - 1
    uint32_t arrival = 0;  // step
    uint32_t key = 0;
    int32_t priority = 0;
    uint32_t pause_at = UINT32_MAX;  // outputs after which its client stops reading
    uint32_t pause_steps = 0;

    // State.
    SequenceState state = SequenceState::kWaiting;
    uint32_t computed = 0, generated = 0, borrowed = 0, own = 0, skipped = 0, paused_until = 0;
    uint32_t admitted_at = UINT32_MAX, finished_at = UINT32_MAX, retracted = 0;
    bool done() const { return finished_at != UINT32_MAX; }
};

class SimulatedEngine {
public:
    using Planner = std::function<void(SchedView&, SchedPlan&)>;

    uint32_t block_tokens = 16;
    uint32_t blocks = 64;
    uint32_t running_max = 16;
    uint32_t token_budget = 64;
    uint32_t step_ms = 20;
    uint32_t key_blocks_max = 0;
    float new_token_ratio = 0.3f;
    float prefill_bias = 0;
    std::vector<SimulatedRequest> requests;  // in order of arrival

    uint32_t steps = 0, retractions = 0, skipped_most = 0;
    uint64_t computed_tokens = 0;

    // Runs to the end of all requests, or records a failure and gives up after `steps_max`.
    void run(const Planner& planner, uint32_t steps_max) {
        free_ = blocks;
        cached_.assign(1 + group_count(), 0);
        size_t finished = 0;
        while (finished < requests.size() && !testing::Test::HasFatalFailure()) {
            ASSERT_LT(steps, steps_max) << finished << " of " << requests.size() << " finished";
            step(planner, &finished);
            ++steps;
        }
        // What is left is in the cache: nothing leaked.
        uint32_t cached = 0;
        for (uint32_t n : cached_)
            cached += n;
        EXPECT_EQ(free_ + cached, blocks);
    }

private:
    uint32_t group_count() const {
        uint32_t most = 0;
        for (const SimulatedRequest& r : requests)
            most = std::max(most, r.group);
        return most;
    }
    // Blocks of the group's cached prefix that somebody other than `except` holds.
    uint32_t locked(uint32_t group, const SimulatedRequest* except = nullptr) const {
        uint32_t most = 0;
        for (const SimulatedRequest* r : holders_) {
            if (r != except && r->group == group) most = std::max(most, r->borrowed);
        }
        return most;
    }
    uint32_t match(const SimulatedRequest& r) const {
        return std::min(cached_[r.group], r.prefix / block_tokens);
    }
    uint32_t evictable() const {
        uint32_t sum = 0;
        for (uint32_t g = 0; g < cached_.size(); ++g)
            sum += cached_[g] - locked(g);
        return sum;
    }

    void fill(SchedView& view) {
        view.clear();
        rows_.clear();
        view.block_tokens = block_tokens;
        view.blocks_free = free_;
        view.blocks_evictable = evictable();
        view.blocks_total = blocks;
        view.running_max = running_max;
        view.token_budget = token_budget;
        view.key_blocks_max = key_blocks_max;
        view.new_token_ratio = new_token_ratio;
        view.prefill_bias = prefill_bias;
        std::vector<uint32_t> prompt_open(cached_.size(), 0);  // longest prefix being computed
        while (first_ < requests.size() && requests[first_].done())
            ++first_;
        for (size_t i = first_; i < requests.size(); ++i) {
            SimulatedRequest& r = requests[i];
            if (r.arrival > steps) break;
            if (r.done()) continue;
            if (r.state == SequenceState::kPaused && steps >= r.paused_until) {
                r.state = SequenceState::kRunning;
            }
            Row row;
            row.state = r.state;
            row.generated = r.generated;
            row.output_left = r.output - r.generated;
            row.key = r.key;
            row.priority = r.priority;
            row.skipped = r.skipped;
            row.age_ms = (steps - r.arrival) * step_ms;
            const uint32_t total = r.prompt + r.generated;
            row.shared = std::min(prompt_open[r.group], r.prefix);
            if (r.state == SequenceState::kWaiting) {
                row.cached = match(r) * block_tokens;
                row.locked = match(r) - std::min(match(r), locked(r.group));
                row.tokens_left = total - row.cached;
            } else {
                row.computed = r.computed;
                row.tokens_left = total - r.computed;
                const uint32_t others = locked(r.group, &r);
                row.held = r.own + r.borrowed - std::min(r.borrowed, others);
            }
            if (r.computed < r.prefix) {
                prompt_open[r.group] = std::max(prompt_open[r.group], r.prefix);
            }
            add(view, row);
            rows_.push_back(&r);
        }
    }

    void give_back(SimulatedRequest& r) {
        free_ += r.own;
        r.own = r.borrowed = r.computed = 0;
        r.state = SequenceState::kWaiting;
        holders_.erase(std::find(holders_.begin(), holders_.end(), &r));
    }

    void take(uint32_t wanted) {
        for (uint32_t g = 0; g < cached_.size() && free_ < wanted; ++g) {
            const uint32_t cut = std::min(wanted - free_, cached_[g] - locked(g));
            cached_[g] -= cut;
            free_ += cut;
        }
        ASSERT_GE(free_, wanted) << "step " << steps;
        free_ -= wanted;
    }

    void step(const Planner& planner, size_t* finished) {
        fill(view_);
        plan_.clear();
        planner(view_, plan_);
        ASSERT_EQ(find_fault(view_, plan_), "") << "step " << steps << "\n" << describe(view_);
        if (view_.size() > 0) {
            ASSERT_FALSE(plan_.run.empty() &&
                         std::count(view_.state.begin(), view_.state.end(), 3u) !=
                             static_cast<ptrdiff_t>(view_.size()))
                << "step " << steps << " runs nothing\n"
                << describe(view_);
        }
        for (uint32_t row : plan_.preempt) {
            give_back(*rows_[row]);
            ++rows_[row]->retracted;
            ++retractions;
        }
        // Locks first: what is admitted must not be evicted for another one.
        for (uint32_t row : plan_.run) {
            SimulatedRequest& r = *rows_[row];
            if (r.state != SequenceState::kWaiting) continue;
            r.state = SequenceState::kRunning;
            holders_.push_back(&r);
            r.borrowed = match(r);
            r.computed = r.borrowed * block_tokens;
            ASSERT_EQ(r.computed, view_.cached_tokens[row]);
            r.admitted_at = std::min(r.admitted_at, steps);
        }
        std::vector<bool> ran(rows_.size(), false);
        for (size_t i = 0; i < plan_.run.size(); ++i) {
            ran[plan_.run[i]] = true;
            compute(*rows_[plan_.run[i]], plan_.tokens[i], finished);
            if (testing::Test::HasFatalFailure()) return;
        }
        for (size_t i = 0; i < rows_.size(); ++i) {
            SimulatedRequest& r = *rows_[i];
            r.skipped = ran[i] || r.state == SequenceState::kPaused ? 0 : r.skipped + 1;
            const bool decodes = view_.state[i] == 2 && view_.tokens_left[i] == 1;
            if (decodes) skipped_most = std::max(skipped_most, r.skipped);
        }
    }

    void compute(SimulatedRequest& r, uint32_t tokens, size_t* finished) {
        const auto up = [&](uint32_t n) { return (n + block_tokens - 1) / block_tokens; };
        const uint32_t wanted = up(r.computed + tokens) - (r.own + r.borrowed);
        take(wanted);
        r.own += wanted;
        r.computed += tokens;
        computed_tokens += tokens;
        // Its part of the shared prefix goes to the cache; what is there already is given back.
        const uint32_t shared = std::min(r.computed, r.prefix) / block_tokens;
        if (shared > r.borrowed) {
            const uint32_t moved = shared - r.borrowed;
            const uint32_t fresh = shared - std::min(shared, cached_[r.group]);
            cached_[r.group] += fresh;
            free_ += moved - fresh;
            r.own -= moved;
            r.borrowed = shared;
        }
        if (r.computed < r.prompt + r.generated) return;
        ++r.generated;
        if (r.generated == r.output) {
            r.finished_at = steps;
            ++*finished;
            give_back(r);
        } else if (r.generated == r.pause_at) {
            r.state = SequenceState::kPaused;
            r.paused_until = steps + r.pause_steps;
        }
    }

    uint32_t free_ = 0;
    std::vector<uint32_t> cached_;  // blocks of each group's prefix that are cached
    std::vector<SimulatedRequest*> rows_;
    std::vector<const SimulatedRequest*> holders_;
    size_t first_ = 0;  // requests before it are done
    SchedView view_;
    SchedPlan plan_;
};

// Requests that each fit into `blocks` blocks alone; many do not fit together.
inline std::vector<SimulatedRequest> random_requests(std::mt19937_64& random, uint32_t count,
                                                     uint32_t tokens_max) {
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    std::vector<SimulatedRequest> requests(count);
    uint32_t arrival = 0;
    for (SimulatedRequest& r : requests) {
        arrival += below(4) == 0 ? below(12) : 0;
        r.arrival = arrival;
        r.output = 1 + below(below(5) == 0 ? tokens_max / 2 : 24);
        r.prompt = 2 + below(std::max(tokens_max - r.output - 2, 1u));
        r.group = below(4);
        r.prefix = r.group == 0 ? 0 : std::min(r.prompt - 1, 40 * r.group);
        r.key = below(3);
        if (below(8) == 0) r.priority = static_cast<int32_t>(below(3)) - 1;
        if (below(10) == 0) {
            r.pause_at = 1 + below(8);
            r.pause_steps = below(60);
        }
    }
    return requests;
}

}  // namespace tenon::sched
