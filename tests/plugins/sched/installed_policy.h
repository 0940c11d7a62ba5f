// A policy of the build, loaded as the program loads it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/host/registry.h"
#include "core/sched/abi_view.h"
#include "core/sched/scheduler.h"

namespace tenon::sched {

inline const host::Registry& installed_plugins() {
    static const host::Registry registry = host::Registry::scan(
        {{TENON_BINARY_DIR "/lib/tenon/plugins", host::SearchPlace::Origin::kConfigured, {}}}, {});
    return registry;
}

inline Result<std::unique_ptr<host::SchedPolicy>> make_policy(
    const std::string& id, const std::vector<host::PluginOption>& options = {}) {
    TENON_TRY(const host::SchedPlugin plugin, installed_plugins().load_sched(id));
    return plugin.create(options);
}

// Plans as the policy does; the plan is legal or the test fails.
class InstalledPolicy {
public:
    explicit InstalledPolicy(const std::string& id,
                             const std::vector<host::PluginOption>& options = {}) {
        auto made = make_policy(id, options);
        EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.error().message);
        if (made.ok()) policy_ = std::move(made).value();
    }
    explicit operator bool() const { return policy_ != nullptr; }

    void plan(const SchedView& view, SchedPlan& plan) {
        tenon_sched_plan out = open_plan(plan, view.size());
        const Status status = policy_->plan(to_abi(view), out);
        ASSERT_TRUE(status.ok()) << status.error().message;
        close_plan(plan, out);
    }
    std::vector<uint32_t> run(const SchedView& view) {
        SchedPlan p;
        plan(view, p);
        EXPECT_EQ(find_fault(view, p), "");
        return p.run;
    }

private:
    std::unique_ptr<host::SchedPolicy> policy_;
};

}  // namespace tenon::sched
