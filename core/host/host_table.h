// The host as plugins see it: log, counted memory, notifications.
#pragma once

#include <tenon/abi.h>

#include <cstdint>

namespace tenon::host {

// Lines of plugins. Runs on any thread; `text` lives for the call.
using LogFn = void (*)(void* ctx, tenon_log_level level, tenon_str text);
// Answers Timeline::notify. Runs on any thread, must be wait-free. status is a tenon_status.
using NotifyFn = void (*)(void* ctx, uint64_t cookie, int32_t status);

// The one table of this process, handed to every plugin; lives until the process ends.
const tenon_host* host_table() noexcept;

// Where lines and notifications go; null drops them. Set before plugins are loaded; not while
// plugins run.
void set_log(LogFn log, void* ctx) noexcept;
void set_notify(NotifyFn notify, void* ctx) noexcept;

// Bytes that plugins hold through alloc now.
uint64_t plugin_bytes_live() noexcept;

}  // namespace tenon::host
