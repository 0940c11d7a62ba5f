#include "core/sched/fcfs.h"

#include "core/sched/abi_view.h"

namespace tenon::sched {

void Fcfs::plan(const SchedView& view, SchedPlan& plan) {
    tenon_sched_plan out = open_plan(plan, view.size());
    planner_.plan(to_abi(view), reference::SchedArrival(), out);
    close_plan(plan, out);
}

void plan_fcfs(const SchedView& view, SchedPlan& plan) { Fcfs().plan(view, plan); }

}  // namespace tenon::sched
