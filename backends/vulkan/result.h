// VkResult as the ABI sees it: a code and one sentence with the result's name and the call.
#pragma once

#include <tenon/plugin.hpp>

#include "backends/vulkan/volk.h"

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

const char* result_name(VkResult result) noexcept;

// OK for VK_SUCCESS and the other results that are no errors. OUT_OF_DEVICE_MEMORY and its kin are
// OOM_DEVICE, OUT_OF_HOST_MEMORY is OOM_HOST, DEVICE_LOST is DEVICE_LOST, missing features, layers and
// extensions are UNSUPPORTED, everything else INTERNAL. `call` is the function's name.
sdk::Status check_result(VkResult result, const char* call) noexcept;

}  // namespace tenon::vulkan

// Returns the failure of a Vulkan call to the caller.
#define TENON_VK_CHECK(function, ...) \
    TENON_SDK_CHECK(::tenon::vulkan::check_result(function(__VA_ARGS__), #function))
