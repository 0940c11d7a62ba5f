// The engine in this process: a model on a device, a thread that steps, an inbox that feeds it.
#pragma once

#include "core/config/fields.h"
#include "core/engine/engine_client.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>

namespace tenon::engine {

struct EngineStart {
    std::string model;  // path
    config::EngineConfig config;
    // Stored bytes of the weights; on the calling thread.
    std::function<void(uint64_t done, uint64_t total)> on_load;
    // On the engine's thread, after the sinks of a step were called.
    std::function<void()> on_step_end;
    // On the engine's thread: the device is lost. Every request was ended; no further one will run.
    std::function<void(const Error&)> on_failed;
    // Raised by the device within a step and by the loop for each; must outlive the engine. May be
    // null.
    std::atomic<uint64_t>* progress = nullptr;
    // Set while a step is computed; must outlive the engine. May be null.
    std::atomic<uint32_t>* is_busy = nullptr;
    uint32_t retract_every = 0;  // for tests: CoreOptions
};

// Opens model and device, plans the memory, loads the weights, draws one token to prove that it
// works, and starts the thread. Blocks the caller meanwhile.
Result<std::unique_ptr<EngineClient>> start_engine(EngineStart start);

}  // namespace tenon::engine
