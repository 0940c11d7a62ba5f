#include "core/host/sched_policy.h"

#include <vector>

#include "core/host/status.h"

namespace tenon::host {

Status SchedPolicy::plan(const tenon_sched_view& view, tenon_sched_plan& plan) const {
    tenon_error error = make_abi_error();
    plan.n_run = plan.n_preempt = 0;
    const int32_t code = table_->plan(handle_, &view, &plan, &error);
    if (code != TENON_OK) return error_from_abi(code, error, "plan");
    if (plan.n_run > plan.capacity || plan.n_preempt > plan.capacity) {
        return Error{Code::kInternal, "plan counts " + std::to_string(plan.n_run) +
                                          " rows to run and " + std::to_string(plan.n_preempt) +
                                          " to preempt; there is room for " +
                                          std::to_string(plan.capacity) + "."};
    }
    return {};
}

Result<std::unique_ptr<SchedPolicy>> SchedPlugin::create(
    std::span<const PluginOption> options) const {
    std::vector<tenon_option> settings;
    settings.reserve(options.size());
    for (const PluginOption& option : options) {
        settings.push_back(
            {{option.key.data(), option.key.size()}, {option.value.data(), option.value.size()}});
    }
    tenon_error error = make_abi_error();
    tenon_sched_policy* made = nullptr;
    const int32_t code =
        table_->create(settings.data(), static_cast<uint32_t>(settings.size()), &made, &error);
    if (code != TENON_OK) return error_from_abi(code, error, "create");
    if (made == nullptr) return Error{Code::kInternal, "create returned OK and a null handle."};
    return std::make_unique<SchedPolicy>(id_, table_, made);
}

}  // namespace tenon::host
