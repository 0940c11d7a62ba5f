// Names of the configuration -> options of a runner: the one place that knows both.
#pragma once

#include "core/config/fields.h"
#include "core/engine/model_runner.h"

namespace tenon::engine {

// Context, compute, KV type, determinism, fallback and chunk size of `config`; all else as it is in
// `options`.
Result<RunnerOptions> configure(const config::EngineConfig& config, RunnerOptions options);

}  // namespace tenon::engine
