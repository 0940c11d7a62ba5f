// A view and a plan as the ABI has them, over the memory of ours.
#pragma once

#include <tenon/abi.h>

#include "core/sched/scheduler.h"

namespace tenon::sched {

// Columns of `view`, which must not change while the result is used.
tenon_sched_view to_abi(const SchedView& view) noexcept;

// Gives `plan` room for `rows` rows; the result points into it.
tenon_sched_plan open_plan(SchedPlan& plan, size_t rows);
// Cuts `plan` to what was written. n_run and n_preempt are at most the capacity.
void close_plan(SchedPlan& plan, const tenon_sched_plan& written);

}  // namespace tenon::sched
