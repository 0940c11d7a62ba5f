// Commands of a prepared program. begin_step, step_segment and finish_step (vulkan_backend.h), which
// run them, are in step.cpp.
#pragma once

#include "backends/vulkan/exec.h"

namespace tenon::vulkan {

// Command pool, command buffers around a step, queries: all that does not depend on bound buffers.
sdk::Status make_commands(Exec& exec);

// Records the dispatches of a bucket with recording.bound, over what was recorded before.
sdk::Status record(Exec& exec, uint32_t bucket, Recording& recording);

}  // namespace tenon::vulkan
