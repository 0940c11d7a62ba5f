// The engine in a child process, as the front sees it: an EngineClient that outlives the engine.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/engine/crash_breaker.h"
#include "core/engine/engine_client.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::engine {

// The callbacks run on the link's thread; they must not block nor destroy the client.
struct EngineProcessOptions {
    std::string model;  // path
    config::EngineConfig config;
    uint32_t stall_unready_ms = 10'000;  // config::Limits
    uint32_t stall_abort_ms = 30'000;
    uint32_t load_stall_ms = 600'000;  // no progress while loading: killed
    CrashPolicy crashes;

    // argv of the child: program, arguments, then the numbers of its descriptors.
    std::string program = "/proc/self/exe";
    std::vector<std::string> arguments = {"engine"};

    std::function<void(uint64_t done, uint64_t total)> on_load;  // weights, bytes; null: ignored
    std::function<void(const EngineInfo&)> on_ready;             // after each start
    // The engine never was ready and will not be: the model, the configuration or the machine does
    // not allow it, or it crashed in every attempt. Comes once; requests end with this error.
    std::function<void(const Error&)> on_failed;
    // A line that the child wrote to its standard error, and what the link itself has to say. Null:
    // the child inherits standard error.
    std::function<void(std::string_view line)> on_log;
};

// Returns at once; the engine loads meanwhile and requests wait for it. What happens to requests
// when it dies: a sink that agrees (on_engine_lost) has its request sent to the next engine, the
// others end with kDeviceLost; a request that was starting at two crashes ends with kInternal
// "poison_request"; while the breaker is open requests end with kBusy.
Result<std::unique_ptr<EngineClient>> start_engine_process(EngineProcessOptions options);

}  // namespace tenon::engine
