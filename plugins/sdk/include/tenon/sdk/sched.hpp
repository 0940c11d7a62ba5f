// Sched<Policy>: the table of tenon.sched/0 over one class.
//
//     struct MyPolicy {
//         // Reads its options, then makes itself.
//         static sdk::Status create(sdk::Span<const tenon_option>, std::unique_ptr<MyPolicy>&);
//         // Plans one step. `view` and `plan` were checked: columns have n_rows entries, the arrays of
//         // the plan at least as many, and its counts are 0.
//         sdk::Status plan(const tenon_sched_view& view, tenon_sched_plan& plan);
//     };
//
// Sched<MyPolicy>::table() is the finished table. A policy that differs from first come, first served
// only in whom it admits first gives a preference to reference::SchedPlanner, which keeps the budget,
// the blocks, the keys and every promise that the host checks; any other one writes its plan with
// PlanWriter. A plan that breaks a promise is replaced by the host's own.
#pragma once

#include <memory>

#include <tenon/reference/sched.h>
#include <tenon/sdk/options.hpp>
#include <tenon/sdk/status.hpp>
#include <tenon/sdk/structs.hpp>

namespace tenon::sdk {

// Whether a policy may read the view and write the plan.
inline Status check_sched(const tenon_sched_view* view, const tenon_sched_plan* plan) noexcept {
    TENON_SDK_CHECK(check_size(view, "tenon_sched_view"));
    TENON_SDK_CHECK(check_size(plan, "tenon_sched_plan"));
    if (view->block_tokens == 0) return fail(TENON_INVALID, "block_tokens is 0.");
    if (plan->capacity < view->n_rows) {
        return fail(TENON_INVALID, "The plan has room for %u rows, the view has %u.",
                    plan->capacity, view->n_rows);
    }
    if (view->n_rows == 0) return Status();
    const void* columns[] = {view->state,         view->tokens_left,   view->computed,
                             view->cached_tokens, view->shared_tokens, view->generated,
                             view->output_left,   view->blocks_held,   view->blocks_locked,
                             view->key,           view->priority,      view->age_ms,
                             view->skipped,       view->deadline_ms,   plan->run,
                             plan->tokens,        plan->preempt};
    for (const void* column : columns) {
        if (column == nullptr)
            return fail(TENON_INVALID, "A column of the view or the plan is null.");
    }
    return Status();
}

// Appends to a plan; drops what the plan has no room for, which a legal plan never needs.
class PlanWriter {
public:
    explicit PlanWriter(tenon_sched_plan& plan) noexcept : plan_(plan) {}
    void run(uint32_t row, uint32_t tokens) noexcept {
        if (plan_.n_run == plan_.capacity) return;
        plan_.run[plan_.n_run] = row;
        plan_.tokens[plan_.n_run++] = tokens;
    }
    void preempt(uint32_t row) noexcept {
        if (plan_.n_preempt < plan_.capacity) plan_.preempt[plan_.n_preempt++] = row;
    }

private:
    tenon_sched_plan& plan_;  // not owned
};

template <class Policy>
class Sched {
public:
    static const tenon_sched_table* table() noexcept {
        static constexpr tenon_sched_table kTable = {sizeof(tenon_sched_table), create, plan,
                                                     destroy};
        return &kTable;
    }

private:
    static int32_t create(const tenon_option* options, uint32_t n_options,
                          tenon_sched_policy** policy, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (policy == nullptr) return fail(TENON_INVALID, "policy is null.");
            *policy = nullptr;
            if (n_options != 0 && options == nullptr)
                return fail(TENON_INVALID, "options is null.");
            std::unique_ptr<Policy> made;
            TENON_SDK_CHECK(Policy::create({options, n_options}, made));
            *policy = reinterpret_cast<tenon_sched_policy*>(made.release());
            return Status();
        });
    }

    static int32_t plan(tenon_sched_policy* policy, const tenon_sched_view* view,
                        tenon_sched_plan* plan, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (policy == nullptr) return fail(TENON_INVALID, "policy is null.");
            TENON_SDK_CHECK(check_sched(view, plan));
            plan->n_run = plan->n_preempt = 0;
            return reinterpret_cast<Policy*>(policy)->plan(*view, *plan);
        });
    }

    static void destroy(tenon_sched_policy* policy) noexcept {
        delete reinterpret_cast<Policy*>(policy);
    }
};

}  // namespace tenon::sdk
