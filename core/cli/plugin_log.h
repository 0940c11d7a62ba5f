// Where the lines go that plugins log.
#pragma once

#include "core/base/log.h"

namespace tenon::cli {

// Errors and warnings to standard error, each as "tenon: warning: SENTENCE"; the rest nowhere.
// Before a plugin is loaded, or while none runs.
void show_plugin_lines() noexcept;

// While it lives: every line into `log`, which outlives it. Made and ended while no plugin runs.
class PluginLog {
public:
    explicit PluginLog(Log& log) noexcept;
    ~PluginLog();
    PluginLog(const PluginLog&) = delete;
    PluginLog& operator=(const PluginLog&) = delete;
};

}  // namespace tenon::cli
