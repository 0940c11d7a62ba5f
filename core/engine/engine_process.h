// The engine's side of the link: one engine that a front process commands through a socket.
#pragma once

#include "core/base/result.h"
#include "core/engine/engine.h"

#include <functional>
#include <memory>

#include <sys/types.h>

namespace tenon::engine {

struct EngineProcess {
    int socket = -1;   // descriptors that the front opened; owned from here on
    int page = -1;     // ProgressPage
    pid_t parent = 0;  // the front; the process dies with it
    // start_engine, or what a test puts in its place. Called once, on a thread of its own.
    std::function<Result<std::unique_ptr<EngineClient>>(EngineStart)> start;
    // Ends the process at once, no destructor run: the front is gone, or the device is lost. Does
    // not return.
    std::function<void(int exit_code)> exit_now;
};

// Reads Hello, starts the engine, serves until Shutdown or a Drain that is done. Returns the exit
// code. SIGINT and SIGHUP are ignored; SIGTERM asks the front for a successor and ends after the
// last request. To be called before other threads exist.
int serve_engine(EngineProcess process);

}  // namespace tenon::engine
