// What a device can do, read once when it is opened and then masked by options, so that a small device
// can be simulated on a large one. Nothing else of the backend asks the driver for a limit.
#pragma once

#include <cstdint>
#include <string>

#include <tenon/plugin.hpp>

#include "backends/vulkan/cooperative_matrix.h"
#include "backends/vulkan/volk.h"

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

struct Features {
    uint32_t api_version = 0;
    uint32_t driver_version = 0;
    uint32_t vendor = 0;
    uint32_t device = 0;
    uint32_t kind = 0;  // a tenon_device_kind
    bool gpu = false;   // shaders are chosen as for a GPU
    uint8_t uuid[VK_UUID_SIZE] = {};
    uint8_t driver_uuid[VK_UUID_SIZE] = {};
    uint8_t cache_uuid[VK_UUID_SIZE] = {};  // pipelineCacheUUID
    char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE] = {};
    char driver[VK_MAX_DRIVER_NAME_SIZE] = {};
    char driver_info[VK_MAX_DRIVER_INFO_SIZE] = {};

    uint64_t storage_range = 0;    // bytes that one storage binding may span, a multiple of 4
    uint64_t allocation_max = 0;   // bytes of one VkDeviceMemory or VkBuffer
    uint32_t allocations_max = 0;  // VkDeviceMemory objects alive at once
    uint32_t storage_align = 0;    // of binding offsets, at most 256
    uint32_t bindings_max = 0;     // storage buffers of one descriptor set and stage
    uint32_t push_bytes = 0;
    uint32_t shared_bytes = 0;  // workgroup memory
    uint32_t group_size[3] = {};
    uint32_t group_invocations = 0;
    uint32_t group_count[3] = {};

    uint32_t subgroup_size = 0;                             // 0: no subgroup operations
    uint32_t subgroup_size_min = 0, subgroup_size_max = 0;  // equal without size control
    uint32_t subgroup_ops = 0;  // VkSubgroupFeatureFlags in compute shaders
    bool subgroup_size_control = false;
    bool storage8 = false, storage16 = false;
    bool int8 = false, int16 = false, int64 = false, float16 = false;
    bool int_dot = false;              // the feature
    bool int_dot_accelerated = false;  // packed 4 x 8 signed, in hardware
    bool cooperative_matrix = false;   // VK_KHR_cooperative_matrix is listed
    MatrixShape matrix;                // what shaders use of it; zeros: nothing
    bool memory_budget = false;        // VK_EXT_memory_budget
    float timestamp_ns = 0;            // length of a tick; 0: no timestamps in compute queues
    uint32_t timestamp_bits = 0;

    uint32_t queue_family = 0;     // compute and copies
    bool host_sees_device = true;  // device memory is mapped where its type allows it
};

// Options that hide what a device has. Zero or false masks nothing.
struct FeatureMask {
    uint32_t shared_bytes = 0;
    uint64_t storage_range = 0;
    uint64_t allocation = 0;
    bool subgroup = false, storage8 = false, storage16 = false;
    bool int8 = false, int16 = false, int64 = false, float16 = false, int_dot = false;
    bool timestamps = false;
    bool coopmat = false;
    bool assume_gpu = false;   // masks nothing: a processor gets the shaders that a GPU would
    bool host_access = false;  // only staging memory is mapped, as on a GPU without a window
};

// False when the device is none for us: older than Vulkan 1.2, without compute or timeline semaphores.
// `why` then says so.
bool read_features(VkInstance instance, VkPhysicalDevice physical, Features& features,
                   std::string& why);

// Reads the keys mask_* of a device's options.
void read_mask(sdk::OptionReader& reader, FeatureMask& mask);
// Clears what is masked. A mask above what the device has changes nothing.
void apply_mask(const FeatureMask& mask, Features& features) noexcept;

// What vkCreateDevice is asked for. Lives where it is made: its members point to each other.
struct EnabledFeatures {
    explicit EnabledFeatures(const Features& features);
    EnabledFeatures(const EnabledFeatures&) = delete;
    EnabledFeatures& operator=(const EnabledFeatures&) = delete;

    VkPhysicalDeviceFeatures2 core{};
    VkPhysicalDeviceVulkan11Features v11{};
    VkPhysicalDeviceVulkan12Features v12{};
    VkPhysicalDeviceSubgroupSizeControlFeatures subgroup{};
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot{};
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix{};
    const char* extensions[8] = {};
    uint32_t n_extensions = 0;
};

// What the device has of shaders::Requires.
uint32_t shader_needs(const Features& features) noexcept;

// One line for tenon_device_info.detail: driver, API version, subgroups, what is masked or absent.
void describe(const Features& features, char (&text)[128]) noexcept;

}  // namespace tenon::vulkan
