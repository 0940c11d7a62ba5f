// The VkInstance, through volk: the loader is opened at run time, so a machine without one has no
// device instead of a plugin that does not load.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include <tenon/plugin.hpp>

#include "backends/vulkan/volk.h"

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

// Any thread. At most one instance of each kind lives at a time; who holds it keeps it alive.
class Instance {
public:
    // With `validation` VK_LAYER_KHRONOS_validation runs with its synchronisation checks; each of its
    // warnings and errors goes to the host's log as an error. UNSUPPORTED says what is missing.
    static sdk::Status open(bool validation, std::shared_ptr<Instance>& instance);
    ~Instance();
    Instance(const Instance&) = delete;
    Instance& operator=(const Instance&) = delete;

    VkInstance handle() const noexcept { return handle_; }
    bool validation() const noexcept { return validation_; }
    // Of the validation layers since the instance was made.
    uint32_t messages() const noexcept { return messages_.load(std::memory_order_relaxed); }

private:
    Instance() = default;
    sdk::Status make(bool validation);

    VkInstance handle_ = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger_ = VK_NULL_HANDLE;
    bool validation_ = false;
    std::atomic<uint32_t> messages_{0};

    static VKAPI_ATTR VkBool32 VKAPI_CALL tell(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                               VkDebugUtilsMessageTypeFlagsEXT types,
                                               const VkDebugUtilsMessengerCallbackDataEXT* data,
                                               void* self);
};

}  // namespace tenon::vulkan
