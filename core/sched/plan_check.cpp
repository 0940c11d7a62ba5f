#include "core/sched/plan_check.h"

#include <fmt/format.h>

#include "core/sched/abi_view.h"

namespace tenon::sched {

namespace {

SequenceState state_of(const SchedView& view, size_t row) {
    return static_cast<SequenceState>(view.state[row]);
}

bool is_due(const SchedView& view, size_t row) {
    return state_of(view, row) == SequenceState::kRunning && view.tokens_left[row] == 1 &&
           view.skipped[row] >= kSkippedMax;
}

}  // namespace

std::string PlanCheck::check_rows(const SchedView& view, const SchedPlan& plan) {
    const size_t rows = view.size();
    if (plan.run.size() != plan.tokens.size()) {
        return fmt::format("The plan runs {} rows and gives tokens to {}.", plan.run.size(),
                           plan.tokens.size());
    }
    mark_.assign(rows, kIdle);
    for (uint32_t row : plan.preempt) {
        if (row >= rows) return fmt::format("The plan preempts row {} of {}.", row, rows);
        if (mark_[row] != kIdle) return fmt::format("The plan preempts row {} twice.", row);
        if (state_of(view, row) == SequenceState::kWaiting) {
            return fmt::format("The plan preempts row {}, which waits and holds nothing.", row);
        }
        mark_[row] = kPreempted;
    }
    for (size_t i = 0; i < plan.run.size(); ++i) {
        const uint32_t row = plan.run[i];
        if (row >= rows) return fmt::format("The plan runs row {} of {}.", row, rows);
        if (mark_[row] == kRuns) return fmt::format("The plan runs row {} twice.", row);
        if (mark_[row] == kPreempted) {
            return fmt::format("The plan both runs and preempts row {}.", row);
        }
        if (state_of(view, row) == SequenceState::kPaused) {
            return fmt::format("The plan runs row {}, which is paused.", row);
        }
        if (plan.tokens[i] == 0 || plan.tokens[i] > view.tokens_left[row]) {
            return fmt::format("The plan gives row {} {} tokens, 1 to {} are legal.", row,
                               plan.tokens[i], view.tokens_left[row]);
        }
        mark_[row] = kRuns;
    }
    return {};
}

std::string PlanCheck::check_sums(const SchedView& view, const SchedPlan& plan) {
    bill_ = {};
    int64_t there = int64_t{view.blocks_free} + view.blocks_evictable;
    for (uint32_t row : plan.preempt)
        there += view.blocks_held[row];
    int64_t needed = 0;
    for (size_t i = 0; i < plan.run.size(); ++i) {
        const uint32_t row = plan.run[i];
        int64_t blocks = blocks_needed(view, row, plan.tokens[i]);
        if (state_of(view, row) == SequenceState::kWaiting) {
            blocks += view.blocks_locked[row];
            bill_.blocks_admitted += blocks;
            ++bill_.admitted;
        }
        bill_.tokens += plan.tokens[i];
        needed += blocks;
        if (!is_due(view, row)) {
            bill_.tokens_not_due += plan.tokens[i];
            bill_.blocks_not_due += blocks;
        }
    }
    if (bill_.tokens > view.token_budget) {
        return fmt::format("The plan runs {} tokens, the budget is {}.", bill_.tokens,
                           view.token_budget);
    }
    uint64_t holders = bill_.admitted;
    for (size_t row = 0; row < view.size(); ++row) {
        if (state_of(view, row) != SequenceState::kWaiting && mark_[row] != kPreempted) ++holders;
    }
    if (bill_.admitted > 0 && holders > view.running_max) {
        return fmt::format("After the plan {} sequences hold blocks, at most {} may.", holders,
                           view.running_max);
    }
    if (needed > there) {
        return fmt::format(
            "The plan needs or locks {} blocks, {} are free, evictable or given back.", needed,
            there);
    }
    bill_.blocks_left = there - needed;
    return {};
}

std::string PlanCheck::check_left_out(const SchedView& view) {
    for (uint32_t row = 0; row < view.size(); ++row) {
        if (mark_[row] != kIdle || !is_due(view, row)) continue;
        const uint64_t tokens = view.token_budget - bill_.tokens + bill_.tokens_not_due;
        const int64_t blocks = bill_.blocks_left + bill_.blocks_not_due;
        if (tokens > 0 && blocks_needed(view, row, 1) <= blocks) {
            return fmt::format(
                "The plan leaves out row {}, which is in decode and was left out of {} "
                "steps in a row.",
                row, view.skipped[row]);
        }
    }
    return {};
}

std::string PlanCheck::check_oldest(const SchedView& view, const SchedPlan& plan) {
    if (bill_.admitted == 0) return {};
    size_t oldest = 0;
    while (state_of(view, oldest) != SequenceState::kWaiting)
        ++oldest;
    const auto row = static_cast<uint32_t>(oldest);
    if (mark_[row] == kRuns || view.age_ms[row] <= kAgeMaxMs) return {};
    const int64_t blocks = bill_.blocks_left + bill_.blocks_admitted;
    if (int64_t{blocks_needed(view, row, 1)} + view.blocks_locked[row] > blocks) return {};
    const tenon_sched_view abi = to_abi(view);
    keys_.count(abi);
    if (keys_.is_over(abi, row)) return {};
    uint32_t younger = 0;
    for (uint32_t r : plan.run) {
        if (state_of(view, r) == SequenceState::kWaiting) younger = r;
    }
    return fmt::format("The plan admits row {} before row {}, which has waited for {} ms and fits.",
                       younger, row, view.age_ms[row]);
}

std::string PlanCheck::check_progress(const SchedView& view, const SchedPlan& plan) const {
    if (!plan.run.empty() || view.token_budget == 0) return {};
    int64_t blocks = int64_t{view.blocks_free} + view.blocks_evictable;
    bool any_running = false;
    for (size_t row = 0; row < view.size(); ++row) {
        if (state_of(view, row) == SequenceState::kWaiting) continue;
        blocks += view.blocks_held[row];
        any_running |= state_of(view, row) == SequenceState::kRunning;
    }
    for (uint32_t row = 0; row < view.size(); ++row) {
        const int64_t needed = blocks_needed(view, row, 1);
        bool can = false;
        if (state_of(view, row) == SequenceState::kRunning) {
            can = needed <= blocks - view.blocks_held[row];
        } else if (state_of(view, row) == SequenceState::kWaiting) {
            can =
                !any_running && view.running_max > 0 && needed + view.blocks_locked[row] <= blocks;
        }
        if (can) return fmt::format("The plan runs nothing, row {} could run.", row);
    }
    return {};
}

std::string PlanCheck::find_fault(const SchedView& view, const SchedPlan& plan) {
    std::string fault = check_rows(view, plan);
    if (fault.empty()) fault = check_sums(view, plan);
    if (fault.empty()) fault = check_left_out(view);
    if (fault.empty()) fault = check_oldest(view, plan);
    if (fault.empty()) fault = check_progress(view, plan);
    return fault;
}

std::string find_fault(const SchedView& view, const SchedPlan& plan) {
    return PlanCheck().find_fault(view, plan);
}

}  // namespace tenon::sched
