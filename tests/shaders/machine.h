// The Vulkan device of the tests: the loader, the validation layer, one device with all that it has
// switched on, one queue.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <volk.h>

#include <string>
#include <vector>

#include "tests/shaders/test_device.h"

namespace tenon::shaders {

template <class T>
T typed(VkStructureType type) {
    T value{};
    value.sType = type;
    return value;
}

struct Machine {
    std::string absent;  // why there is no device; empty when there is one
    TestDevice description{};
    VkInstance instance = VK_NULL_HANDLE;
    VkDebugUtilsMessengerEXT messenger = VK_NULL_HANDLE;
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    VkPhysicalDeviceLimits limits{};
    VkPhysicalDeviceMemoryProperties memory{};
    VkDevice device = VK_NULL_HANDLE;
    VkQueue queue = VK_NULL_HANDLE;
    VkCommandPool pool = VK_NULL_HANDLE;
    std::vector<std::string> messages;  // of the validation layer

    Machine();
    ~Machine();
    bool make_instance();
    bool pick();
    void make_device();
    // Appends what cooperative matrices need to the device's features, when it and this build have them.
    void add_matrices(const VkPhysicalDeviceProperties& properties,
                      VkPhysicalDeviceVulkan12Features& core12);
    VkPhysicalDeviceSubgroupSizeControlFeatures size_control{};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices{};
};

// Made when the first test asks, dropped after the last. One thread.
Machine& machine();

}  // namespace tenon::shaders
