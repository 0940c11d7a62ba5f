#include "core/cli/plugin_log.h"

#include "core/cli/table.h"
#include "core/host/host_table.h"

#include <cstdio>
#include <exception>
#include <string>

namespace tenon::cli {

namespace {

// Runs on any thread of a plugin: no exception may leave.
void to_standard_error(void*, tenon_log_level level, tenon_str text) {
    if (level > TENON_LOG_WARN) return;
    try {
        const std::string line = std::string("tenon: ") +
                                 (level == TENON_LOG_ERROR ? "error: " : "warning: ") +
                                 printable(std::string(text.p, text.n)) + "\n";
        std::fwrite(line.data(), 1, line.size(), stderr);
    } catch (const std::exception&) {
        // Memory is out: the line is lost.
    }
}

void to_log(void* log, tenon_log_level level, tenon_str text) {
    const LogLevel as = level == TENON_LOG_ERROR  ? LogLevel::kError
                        : level == TENON_LOG_WARN ? LogLevel::kWarn
                        : level == TENON_LOG_INFO ? LogLevel::kInfo
                                                  : LogLevel::kDebug;
    try {
        static_cast<Log*>(log)->write(as, "plugin", {{"line", std::string_view(text.p, text.n)}});
    } catch (const std::exception&) {
        // Memory is out: the line is lost.
    }
}

}  // namespace

void show_plugin_lines() noexcept { host::set_log(to_standard_error, nullptr); }

PluginLog::PluginLog(Log& log) noexcept { host::set_log(to_log, &log); }

PluginLog::~PluginLog() { show_plugin_lines(); }

}  // namespace tenon::cli
