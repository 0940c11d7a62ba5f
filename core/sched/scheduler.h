// Decides what the next step computes. A policy (a plugin) proposes, the host checks, and an illegal
// plan is replaced by the built-in first-come-first-served one.
//
// plan() is pure: the same view gives the same plan. Units are tokens and blocks of the KV pool.
#pragma once

#include "core/host/sched_policy.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace tenon::sched {

enum class SequenceState : uint32_t {
    kWaiting = 1,  // holds nothing of its own; cached_tokens is what the tree would give it
    kRunning = 2,  // holds blocks
    kPaused = 3,   // holds blocks; must not run, may be preempted
};

// One column per fact, one row per sequence; rows are in order of arrival.
struct SchedView {
    // Rows.
    std::vector<uint32_t> state;  // a SequenceState
    // To compute until a token can be drawn, at least 1. Of kWaiting: behind cached_tokens, outputs
    // kept from before a preemption included. 1 in decode.
    std::vector<uint32_t> tokens_left;
    std::vector<uint32_t> computed;       // positions written, cached ones included; not kWaiting
    std::vector<uint32_t> cached_tokens;  // kWaiting: prefix that is in the tree now, whole blocks
    // kWaiting: longest prefix shared with an earlier row whose prompt is not computed yet.
    std::vector<uint32_t> shared_tokens;
    std::vector<uint32_t> generated;    // tokens drawn so far
    std::vector<uint32_t> output_left;  // tokens it may still draw
    // What preempting it gives back: its private blocks and those of the tree that nobody else
    // locks.
    std::vector<uint32_t> blocks_held;
    std::vector<uint32_t> blocks_locked;  // kWaiting: evictable blocks that admitting it would lock
    std::vector<uint32_t> key;            // small number of the API key it belongs to
    std::vector<int32_t> priority;        // higher first
    std::vector<uint32_t> age_ms;         // since it arrived
    std::vector<uint32_t> skipped;        // consecutive steps that left it out
    std::vector<uint32_t> deadline_ms;    // left; UINT32_MAX: none
    size_t size() const noexcept { return state.size(); }
    void clear();

    // The whole.
    uint32_t block_tokens = 16;
    uint32_t blocks_free = 0;
    uint32_t blocks_evictable = 0;
    uint32_t blocks_total = 0;
    uint32_t running_max = 0;     // sequences that may hold blocks
    uint32_t token_budget = 0;    // tokens of this step
    uint32_t key_blocks_max = 0;  // blocks of one key while others wait; 0: no such bound
    float new_token_ratio = 1;    // expected share of output_left that will be drawn
    float prefill_bias = 0;       // 0: decode first, prefill in what is left; 1: prefill first
    float age_weight = 64;        // prefix tokens that a second of waiting is worth
};

// Which rows run with how many tokens, and which give their blocks back before.
struct SchedPlan {
    std::vector<uint32_t> run;      // rows, each once
    std::vector<uint32_t> tokens;   // of each, 1 .. tokens_left
    std::vector<uint32_t> preempt;  // rows in kRunning or kPaused, not among `run`
    void clear();
};

// Blocks that a row needs anew to compute `tokens` more positions: its table covers whole blocks up
// to the positions that are written.
uint32_t blocks_needed(const SchedView& view, uint32_t row, uint32_t tokens);

inline constexpr uint32_t kSkippedMax = 64;
inline constexpr uint32_t kAgeMaxMs = 20'000;

// Nothing when the plan is legal, else a sentence:
// - rows exist, each once; none that runs is paused or preempted, none that is preempted waits;
// - tokens are in 1 .. tokens_left and their sum is within the budget;
// - running_max holds where a row is admitted, and the blocks suffice after the preemptions and after
//   evicting everything evictable that admission does not lock;
// - no row in decode is left out of more than kSkippedMax steps in a row while it would fit;
// - no row is admitted before the oldest waiting one when that is older than kAgeMaxMs, would fit and
//   is not held back by key_blocks_max;
// - something runs if anything can: a running row with every other holder preempted, or, where none
//   is running, a waiting row with the paused ones preempted.
// An empty plan is legal for a view whose running rows cannot go on even alone: the engine ends one.
std::string find_fault(const SchedView& view, const SchedPlan& plan);

// The built-in policy: unified prefill and decode with a token budget, admission by the expected need
// of blocks, retraction when blocks run out [tenon/reference/sched.h, shared with the plugins].
void plan_fcfs(const SchedView& view, SchedPlan& plan);

struct SchedulerOptions {
    uint32_t chunked_prefill_size = 2048;  // ceiling of a step's prefill tokens
    double step_ms_max = 250;              // predicted time of a step stays below it
    double schedule_conservativeness = 1;  // scales the first new_token_ratio
    int64_t (*now_us)() = nullptr;         // a clock that only grows; null: the system's
};

// A policy whose plan takes longer than this, fails or is illegal is at fault; after so many faults
// in a row the built-in one plans for so long.
inline constexpr int64_t kPlanBudgetUs = 5'000;
inline constexpr uint32_t kFaultsMax = 5;
inline constexpr int64_t kBreakerUs = 60'000'000;

// One thread.
class Scheduler {
public:
    // Without a policy the built-in one plans.
    Scheduler(std::unique_ptr<host::SchedPolicy> policy, SchedulerOptions options);
    ~Scheduler();

    // Fills in token_budget and new_token_ratio and plans. Never fails; `plan` is legal.
    // token_budget is at most max(chunked_prefill_size, running_max): rows in decode come on top of
    // the prefill chunk, whose size is chosen so that the predicted time of the step stays within
    // step_ms_max, but never below one block.
    void plan(SchedView& view, SchedPlan& plan);

    // What a step took: its prefill tokens (of items of more than one token), its decode rows, the
    // sum over items of their tokens times the positions at their end, and its time.
    void observe(uint32_t prefill_tokens, uint32_t decode_rows, uint64_t context_tokens,
                 double step_ms);
    // Bookkeeping of new_token_ratio: a decode step went by; sequences were retracted; nothing runs.
    void on_decode_step();
    void on_retract(uint64_t outputs_so_far, uint64_t outputs_max, uint32_t running);
    void on_idle();

    double new_token_ratio() const noexcept;
    // Policy whose plan was last used, "built-in" for ours; how many plans were illegal or failed,
    // and how many came too late (those are used).
    const std::string& effective_policy() const noexcept;
    uint64_t plans_refused() const noexcept;
    uint64_t plans_late() const noexcept;
    // One sentence; empty before the first fault.
    const std::string& last_fault() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace tenon::sched
