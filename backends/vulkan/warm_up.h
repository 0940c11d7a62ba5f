// A driver on the host's processor compiles a shader when it first runs, which may take seconds: a
// program's shaders run once, on no rows, while it is prepared.
#pragma once

#include <tenon/plugin.hpp>

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

struct Exec;

// Dispatches every pipeline of the program without a group. Nothing on a device that is no processor.
sdk::Status warm_up(Exec& exec);

}  // namespace tenon::vulkan
