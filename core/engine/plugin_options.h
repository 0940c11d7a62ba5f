// What the configuration says to a plugin.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/config/yaml.h"
#include "core/host/backend.h"
#include "core/host/registry.h"

#include <vector>

namespace tenon::engine {

// The plugin's own section. kConfig has a sentence for each option that its manifest does not have,
// with the nearest, and for each value that is not of the option's type and range.
Result<std::vector<host::PluginOption>> plugin_options(const config::EngineConfig& config,
                                                       const host::Candidate& candidate);

// kConfig where a section names a plugin that `registry` never saw. One that was refused, or is not
// the one in use, may have a section.
Status check_plugin_names(const config::EngineConfig& config, const host::Registry& registry);

// Everything that is wrong with the sections of all plugins: plugins that are not found or are
// refused as well. Runs no code of a plugin.
std::vector<config::PluginMistake> find_plugin_mistakes(const config::EngineConfig& config);

}  // namespace tenon::engine
