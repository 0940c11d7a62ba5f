#include "core/engine/plugin_options.h"

#include "core/config/nearest.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

namespace tenon::engine {

Result<std::vector<host::PluginOption>> plugin_options(const config::EngineConfig& config,
                                                       const host::Candidate& candidate) {
    std::vector<host::PluginOption> options;
    const auto section = config.plugins.find(candidate.id);
    if (section == config.plugins.end()) return options;
    std::vector<std::string> known;
    for (const host::OptionSpec& spec : candidate.options)
        known.push_back(spec.key);
    for (const auto& [key, value] : section->second) {
        if (std::find(known.begin(), known.end(), key) == known.end()) {
            const std::string close = config::nearest(key, known);
            return Error{Code::kConfig,
                         fmt::format("{} {} has no option '{}'{}; it has: {}",
                                     candidate.kinds.empty() ? "plugin" : candidate.kinds.front(),
                                     candidate.id, key,
                                     close.empty() ? ""
                                                   : fmt::format("; did you mean '{}'?", close),
                                     fmt::join(known, ", "))};
        }
        options.push_back({key, value});
    }
    return options;
}

}  // namespace tenon::engine
