#include "core/engine/plugin_options.h"

#include "core/config/nearest.h"
#include "core/engine/device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>

namespace tenon::engine {

namespace {

std::string unknown_option(const host::Candidate& candidate, const std::string& key) {
    std::vector<std::string> known;
    for (const host::OptionSpec& spec : candidate.options)
        known.push_back(spec.key);
    const std::string close = config::nearest(key, known);
    return fmt::format("{} {} has no option '{}'; {}",
                       candidate.kinds.empty() ? "plugin" : candidate.kinds.front(), candidate.id,
                       key,
                       !close.empty()  ? fmt::format("did you mean '{}'?", close)
                       : known.empty() ? std::string("it has none")
                                       : fmt::format("it has: {}", fmt::join(known, ", ")));
}

std::vector<config::PluginMistake> find_section_mistakes(const config::PluginOptions& section,
                                                         const host::Candidate& candidate) {
    std::vector<config::PluginMistake> mistakes;
    for (const auto& [key, value] : section) {
        const auto spec = std::find_if(candidate.options.begin(), candidate.options.end(),
                                       [&](const host::OptionSpec& one) { return one.key == key; });
        if (spec == candidate.options.end()) {
            mistakes.push_back({candidate.id, key, false, unknown_option(candidate, key)});
            continue;
        }
        const std::string problem = host::value_problem(*spec, value);
        if (problem.empty()) continue;
        mistakes.push_back(
            {candidate.id, key, true, fmt::format("{}.{}: {}", candidate.id, key, problem)});
    }
    return mistakes;
}

// Why there is no usable plugin of this name.
std::string missing_plugin(const host::Registry& registry, const std::string& id) {
    std::vector<std::string> known;
    for (const host::Candidate& candidate : registry.candidates()) {
        if (candidate.id == id) {
            return fmt::format("plugin {} cannot be used: {} See 'tenon plugins list --why'.", id,
                               candidate.reason);
        }
        if (candidate.usable) known.push_back(candidate.id);
    }
    const std::string close = config::nearest(id, known);
    return fmt::format("there is no plugin '{}'; {}", id,
                       !close.empty()  ? fmt::format("did you mean '{}'?", close)
                       : known.empty() ? std::string("none is found")
                                       : fmt::format("found are: {}", fmt::join(known, ", ")));
}

}  // namespace

Result<std::vector<host::PluginOption>> plugin_options(const config::EngineConfig& config,
                                                       const host::Candidate& candidate) {
    std::vector<host::PluginOption> options;
    const auto section = config.plugins.find(candidate.id);
    if (section == config.plugins.end()) return options;
    std::vector<std::string> sentences;
    for (const config::PluginMistake& mistake : find_section_mistakes(section->second, candidate))
        sentences.push_back(mistake.sentence);
    if (!sentences.empty()) {
        return Error{Code::kConfig, fmt::format("{}", fmt::join(sentences, "\n"))};
    }
    for (const auto& [key, value] : section->second)
        options.push_back({key, value});
    return options;
}

Status check_plugin_names(const config::EngineConfig& config, const host::Registry& registry) {
    for (const auto& [id, section] : config.plugins) {
        const bool is_known =
            std::any_of(registry.candidates().begin(), registry.candidates().end(),
                        [&](const host::Candidate& candidate) { return candidate.id == id; });
        if (!is_known) {
            return Error{Code::kConfig,
                         fmt::format("{}.{}: {}", id, section.empty() ? "" : section.begin()->first,
                                     missing_plugin(registry, id))};
        }
    }
    return {};
}

std::vector<config::PluginMistake> find_plugin_mistakes(const config::EngineConfig& config) {
    std::vector<config::PluginMistake> mistakes;
    if (config.plugins.empty()) return mistakes;
    const Result<host::Registry> registry = scan_plugins(config);
    if (!registry.ok()) {
        mistakes.push_back({"", "", false, registry.error().message});
        return mistakes;
    }
    for (const auto& [id, section] : config.plugins) {
        const host::Candidate* const candidate = registry->find(id);
        if (candidate == nullptr) {
            mistakes.push_back({id, "", false, missing_plugin(*registry, id)});
            continue;
        }
        for (config::PluginMistake& one : find_section_mistakes(section, *candidate))
            mistakes.push_back(std::move(one));
    }
    return mistakes;
}

}  // namespace tenon::engine
