// Whether a plan is legal; the clauses are those of find_fault in scheduler.h.
#pragma once

#include <tenon/reference/sched.h>

#include "core/sched/scheduler.h"

namespace tenon::sched {

// With its scratch memory: nothing is allocated for a legal plan once it has seen as many rows. One
// thread.
class PlanCheck {
public:
    // Empty, or one sentence.
    std::string find_fault(const SchedView& view, const SchedPlan& plan);

private:
    enum Mark : uint8_t { kIdle, kRuns, kPreempted };

    // What the plan takes.
    struct Bill {
        uint64_t tokens = 0;
        uint64_t tokens_not_due = 0;  // of rows that are not due
        int64_t blocks_left = 0;
        int64_t blocks_not_due = 0;
        int64_t blocks_admitted = 0;  // needed or locked by rows that are admitted
        uint32_t admitted = 0;
    };

    std::string check_rows(const SchedView& view, const SchedPlan& plan);
    std::string check_sums(const SchedView& view, const SchedPlan& plan);
    std::string check_left_out(const SchedView& view);
    std::string check_oldest(const SchedView& view, const SchedPlan& plan);
    std::string check_progress(const SchedView& view, const SchedPlan& plan) const;

    std::vector<uint8_t> mark_;  // a Mark for each row
    Bill bill_;
    reference::SchedKeys keys_;
};

}  // namespace tenon::sched
