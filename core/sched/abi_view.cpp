#include "core/sched/abi_view.h"

#include <tenon/reference/sched.h>

namespace tenon::sched {

static_assert(static_cast<uint32_t>(SequenceState::kWaiting) == TENON_SCHED_WAITING);
static_assert(static_cast<uint32_t>(SequenceState::kRunning) == TENON_SCHED_RUNNING);
static_assert(static_cast<uint32_t>(SequenceState::kPaused) == TENON_SCHED_PAUSED);
static_assert(kSkippedMax == reference::kSchedSkippedMax);
static_assert(kAgeMaxMs == reference::kSchedAgeMaxMs);

void SchedView::clear() {
    for (auto* column :
         {&state, &tokens_left, &computed, &cached_tokens, &shared_tokens, &generated, &output_left,
          &blocks_held, &blocks_locked, &key, &age_ms, &skipped, &deadline_ms}) {
        column->clear();
    }
    priority.clear();
}

void SchedPlan::clear() {
    run.clear();
    tokens.clear();
    preempt.clear();
}

tenon_sched_view to_abi(const SchedView& view) noexcept {
    tenon_sched_view v{};
    v.size = sizeof v;
    v.n_rows = static_cast<uint32_t>(view.size());
    v.block_tokens = view.block_tokens;
    v.blocks_free = view.blocks_free;
    v.blocks_evictable = view.blocks_evictable;
    v.blocks_total = view.blocks_total;
    v.running_max = view.running_max;
    v.token_budget = view.token_budget;
    v.key_blocks_max = view.key_blocks_max;
    v.new_token_ratio = view.new_token_ratio;
    v.prefill_bias = view.prefill_bias;
    v.age_weight = view.age_weight;
    v.state = view.state.data();
    v.tokens_left = view.tokens_left.data();
    v.computed = view.computed.data();
    v.cached_tokens = view.cached_tokens.data();
    v.shared_tokens = view.shared_tokens.data();
    v.generated = view.generated.data();
    v.output_left = view.output_left.data();
    v.blocks_held = view.blocks_held.data();
    v.blocks_locked = view.blocks_locked.data();
    v.key = view.key.data();
    v.priority = view.priority.data();
    v.age_ms = view.age_ms.data();
    v.skipped = view.skipped.data();
    v.deadline_ms = view.deadline_ms.data();
    return v;
}

tenon_sched_plan open_plan(SchedPlan& plan, size_t rows) {
    plan.run.resize(rows);
    plan.tokens.resize(rows);
    plan.preempt.resize(rows);
    tenon_sched_plan p{};
    p.size = sizeof p;
    p.capacity = static_cast<uint32_t>(rows);
    p.run = plan.run.data();
    p.tokens = plan.tokens.data();
    p.preempt = plan.preempt.data();
    return p;
}

void close_plan(SchedPlan& plan, const tenon_sched_plan& written) {
    plan.run.resize(written.n_run);
    plan.tokens.resize(written.n_run);
    plan.preempt.resize(written.n_preempt);
}

uint32_t blocks_needed(const SchedView& view, uint32_t row, uint32_t tokens) {
    const bool waits = view.state[row] == TENON_SCHED_WAITING;
    return reference::sched_blocks(waits ? view.cached_tokens[row] : view.computed[row], tokens,
                                   view.block_tokens);
}

}  // namespace tenon::sched
