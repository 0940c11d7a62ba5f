#include "core/engine/policy.h"

#include "core/config/nearest.h"
#include "core/engine/device.h"
#include "core/engine/plugin_options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace tenon::engine {

Result<std::unique_ptr<host::SchedPolicy>> open_policy(const config::EngineConfig& config) {
    if (config.policy == "builtin") return std::unique_ptr<host::SchedPolicy>();
    TENON_TRY(const host::Registry registry, scan_plugins(config));
    std::vector<std::string> known = {"builtin"};
    for (const host::Candidate& candidate : registry.candidates()) {
        if (candidate.usable && std::find(candidate.kinds.begin(), candidate.kinds.end(),
                                          "sched") != candidate.kinds.end())
            known.push_back(candidate.id);
    }
    if (std::find(known.begin(), known.end(), config.policy) == known.end()) {
        const std::string close = config::nearest(config.policy, known);
        return Error{Code::kConfig,
                     fmt::format("policy '{}' cannot be used{}; there are: {}. See 'tenon plugins "
                                 "list --why'.",
                                 config.policy,
                                 close.empty() ? "" : fmt::format("; did you mean '{}'?", close),
                                 fmt::join(known, ", "))};
    }
    TENON_TRY(const host::SchedPlugin plugin, registry.load_sched(config.policy));
    TENON_TRY(const std::vector<host::PluginOption> options,
              plugin_options(config, *registry.find(config.policy)));
    return plugin.create(options);
}

}  // namespace tenon::engine
