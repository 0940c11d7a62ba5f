// The built-in policy with its scratch memory.
#pragma once

#include <tenon/reference/sched.h>

#include "core/sched/scheduler.h"

namespace tenon::sched {

// First come, first served. One thread; allocates only while the number of rows grows.
class Fcfs {
public:
    void plan(const SchedView& view, SchedPlan& plan);

private:
    reference::SchedPlanner planner_;
};

}  // namespace tenon::sched
