// From configuration to a scheduler policy.
#pragma once

#include "core/base/result.h"
#include "core/config/fields.h"
#include "core/host/sched_policy.h"

#include <memory>

namespace tenon::engine {

// The plugin that config.policy names; null for "builtin". kConfig says what there is.
Result<std::unique_ptr<host::SchedPolicy>> open_policy(const config::EngineConfig& config);

}  // namespace tenon::engine
