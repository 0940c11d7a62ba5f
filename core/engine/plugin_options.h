// What the configuration says to a plugin.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/host/backend.h"
#include "core/host/registry.h"

#include <vector>

namespace tenon::engine {

// The plugin's own section. kConfig names an option that its manifest does not, with the nearest.
Result<std::vector<host::PluginOption>> plugin_options(const config::EngineConfig& config,
                                                       const host::Candidate& candidate);

}  // namespace tenon::engine
