#include "core/sched/scheduler.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "core/host/sched_policy.h"
#include "core/sched/abi_view.h"
#include "core/sched/fcfs.h"
#include "core/sched/plan_check.h"
#include "core/sched/step_rates.h"

namespace tenon::sched {

namespace {

// new_token_ratio: first value before schedule_conservativeness, its floor, decode steps from one to
// the other, tokens more that a retracted sequence is expected to draw [as in SGLang].
constexpr double kRatioFirst = 0.7;
constexpr double kRatioFloor = 0.14;
constexpr double kRatioSteps = 600;
constexpr double kRatioMargin = 20;
// Share of step_ms_max that a prediction may fill.
constexpr double kStepMargin = 0.9;

int64_t system_now_us() {
    using namespace std::chrono;
    return duration_cast<microseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

struct Scheduler::Impl {
    Impl(std::unique_ptr<host::SchedPolicy> given, const SchedulerOptions& o)
        : policy(std::move(given)), options(o), policy_name(policy ? policy->id() : built_in) {
        if (options.now_us == nullptr) options.now_us = system_now_us;
        ratio_first = std::min(kRatioFirst * options.schedule_conservativeness, 1.0);
        ratio_floor = kRatioFloor * ratio_first;
        ratio = ratio_first;
    }

    // Whether the policy's plan is there and legal.
    bool ask(const SchedView& view, SchedPlan& plan);
    void blame(std::string sentence);
    uint32_t budget_for(const SchedView& view) const;

    const std::string built_in = "built-in";
    std::unique_ptr<host::SchedPolicy> policy;  // null: the built-in one
    SchedulerOptions options;
    const std::string policy_name;
    const std::string* effective = &policy_name;
    Fcfs fcfs;
    PlanCheck check;
    StepRates rates;
    double ratio_first = 1, ratio_floor = 1, ratio = 1;
    uint64_t refused = 0, late = 0;
    uint32_t faults_in_a_row = 0;
    int64_t closed_until_us = INT64_MIN;
    std::string fault;
};

Scheduler::Scheduler(std::unique_ptr<host::SchedPolicy> policy, SchedulerOptions options)
    : impl_(std::make_unique<Impl>(std::move(policy), options)) {}

Scheduler::~Scheduler() = default;

void Scheduler::Impl::blame(std::string sentence) {
    fault = fmt::format("Policy {}: {}", policy_name, sentence);
    if (++faults_in_a_row < kFaultsMax) return;
    faults_in_a_row = 0;
    closed_until_us = options.now_us() + kBreakerUs;
    fault += fmt::format(" This was fault {} in a row: the built-in policy plans for {} s.",
                         kFaultsMax, kBreakerUs / 1'000'000);
}

bool Scheduler::Impl::ask(const SchedView& view, SchedPlan& plan) {
    tenon_sched_plan out = open_plan(plan, view.size());
    const int64_t start_us = options.now_us();
    const Status answered = policy->plan(to_abi(view), out);
    const int64_t took_us = options.now_us() - start_us;
    if (!answered.ok()) {
        ++refused;
        blame(answered.error().message);
        return false;
    }
    close_plan(plan, out);
    std::string illegal = check.find_fault(view, plan);
    if (!illegal.empty()) {
        ++refused;
        blame(std::move(illegal));
        return false;
    }
    if (took_us > kPlanBudgetUs) {
        ++late;
        blame(fmt::format("The plan took {} us, {} are allowed.", took_us, kPlanBudgetUs));
    } else {
        faults_in_a_row = 0;
    }
    return true;
}

uint32_t Scheduler::Impl::budget_for(const SchedView& view) const {
    StepWork rest;
    uint64_t position = 0;
    bool any_prefill = false;
    for (size_t row = 0; row < view.size(); ++row) {
        const auto state = static_cast<SequenceState>(view.state[row]);
        if (state == SequenceState::kPaused) continue;
        if (state == SequenceState::kRunning && view.tokens_left[row] == 1) {
            ++rest.decode_rows;
            rest.context_tokens += view.computed[row] + uint64_t{1};
        } else if (!any_prefill) {
            any_prefill = true;
            position =
                state == SequenceState::kWaiting ? view.cached_tokens[row] : view.computed[row];
        }
    }
    const uint32_t ceiling = std::max(options.chunked_prefill_size, 1u);
    const uint32_t chunk = rates.largest_prefill(rest, position, options.step_ms_max * kStepMargin,
                                                 view.block_tokens, ceiling);
    const uint64_t most = std::max(ceiling, view.running_max);
    return static_cast<uint32_t>(std::min(most, uint64_t{rest.decode_rows} + chunk));
}

void Scheduler::plan(SchedView& view, SchedPlan& plan) {
    Impl& s = *impl_;
    view.token_budget = s.budget_for(view);
    view.new_token_ratio = static_cast<float>(s.ratio);
    plan.clear();
    if (view.size() == 0) return;
    if (s.policy != nullptr && s.options.now_us() >= s.closed_until_us && s.ask(view, plan)) {
        s.effective = &s.policy_name;
        return;
    }
    s.effective = &s.built_in;
    s.fcfs.plan(view, plan);
}

void Scheduler::observe(uint32_t prefill_tokens, uint32_t decode_rows, uint64_t context_tokens,
                        double step_ms) {
    impl_->rates.observe({prefill_tokens, decode_rows, context_tokens}, step_ms);
}

void Scheduler::on_decode_step() {
    const double step = (impl_->ratio_first - impl_->ratio_floor) / kRatioSteps;
    impl_->ratio = std::max(impl_->ratio_floor, impl_->ratio - step);
}

void Scheduler::on_retract(uint64_t outputs_so_far, uint64_t outputs_max, uint32_t running) {
    const double drawn = static_cast<double>(outputs_so_far) + kRatioMargin * running;
    impl_->ratio = std::min(1.0, drawn / (static_cast<double>(outputs_max) + 1));
}

void Scheduler::on_idle() { impl_->ratio = impl_->ratio_first; }

double Scheduler::new_token_ratio() const noexcept { return impl_->ratio; }
const std::string& Scheduler::effective_policy() const noexcept { return *impl_->effective; }
uint64_t Scheduler::plans_refused() const noexcept { return impl_->refused; }
uint64_t Scheduler::plans_late() const noexcept { return impl_->late; }
const std::string& Scheduler::last_fault() const noexcept { return impl_->fault; }

}  // namespace tenon::sched
