#include "backends/vulkan/features.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "backends/vulkan/memory.h"
#include "shaders/shader_list.h"

namespace tenon::vulkan {
namespace {

constexpr uint64_t kAllocationDefault = uint64_t{1} << 30;  // what Vulkan 1.1 promises at least
constexpr uint64_t kAllocationLeast = uint64_t{32} << 20;   // the staging buffers need it

uint32_t kind_of(VkPhysicalDeviceType type) noexcept {
    switch (type) {
        case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return TENON_DEVICE_IGPU;
        case VK_PHYSICAL_DEVICE_TYPE_CPU: return TENON_DEVICE_CPU;
        default: return TENON_DEVICE_GPU;
    }
}

bool find_queue(VkPhysicalDevice physical, Features& f) {
    uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families.data());
    // Compute families copy too. One without graphics runs beside the desktop.
    for (const bool graphics : {false, true}) {
        for (uint32_t i = 0; i < count; ++i) {
            if ((families[i].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0) continue;
            if (!graphics && (families[i].queueFlags & VK_QUEUE_GRAPHICS_BIT) != 0) continue;
            f.queue_family = i;
            f.timestamp_bits = families[i].timestampValidBits;
            return true;
        }
    }
    return false;
}

void read_limits(const VkPhysicalDeviceLimits& limits, Features& f) noexcept {
    f.storage_range = limits.maxStorageBufferRange & ~uint64_t{3};
    f.allocations_max = limits.maxMemoryAllocationCount;
    f.storage_align = static_cast<uint32_t>(limits.minStorageBufferOffsetAlignment);
    f.bindings_max = std::min({limits.maxPerStageDescriptorStorageBuffers,
                               limits.maxDescriptorSetStorageBuffers, limits.maxPerStageResources});
    f.push_bytes = limits.maxPushConstantsSize;
    f.shared_bytes = limits.maxComputeSharedMemorySize;
    f.group_invocations = limits.maxComputeWorkGroupInvocations;
    for (int i = 0; i < 3; ++i) {
        f.group_size[i] = limits.maxComputeWorkGroupSize[i];
        f.group_count[i] = limits.maxComputeWorkGroupCount[i];
    }
    f.timestamp_ns = f.timestamp_bits == 0 ? 0 : limits.timestampPeriod;
}

// Whether this build holds a shader for it.
bool has_matrix_shader() noexcept {
    uint32_t count = 0;
    const shaders::ShaderVariant* list = shaders::shader_list(&count);
    return std::any_of(list, list + count, [](const shaders::ShaderVariant& variant) {
        return (variant.requires_bits & shaders::kRequiresCoopmat) != 0;
    });
}

bool has_extension(const std::vector<VkExtensionProperties>& list, const char* name) noexcept {
    for (const VkExtensionProperties& extension : list)
        if (std::strcmp(extension.extensionName, name) == 0) return true;
    return false;
}

}  // namespace

bool read_features(VkInstance instance, VkPhysicalDevice physical, Features& f, std::string& why) {
    VkPhysicalDeviceProperties basic{};
    vkGetPhysicalDeviceProperties(physical, &basic);
    std::memcpy(f.name, basic.deviceName, sizeof f.name);
    f.api_version = basic.apiVersion;
    if (basic.apiVersion < VK_API_VERSION_1_2) {
        why = "is older than Vulkan 1.2";
        return false;
    }
    if (!find_queue(physical, f)) {
        why = "has no queue for compute";
        return false;
    }
    const bool v13 = basic.apiVersion >= VK_API_VERSION_1_3;
    uint32_t count = 0;
    std::vector<VkExtensionProperties> extensions;
    if (vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr) == VK_SUCCESS) {
        extensions.resize(count);
        if (vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, extensions.data()) < 0)
            count = 0;
        extensions.resize(count);
    }

    VkPhysicalDeviceShaderIntegerDotProductProperties dot{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES};
    VkPhysicalDeviceSubgroupSizeControlProperties size_control{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceMaintenance4Properties sizes{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_4_PROPERTIES};
    VkPhysicalDeviceVulkan12Properties p12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES};
    VkPhysicalDeviceVulkan11Properties p11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES};
    VkPhysicalDeviceProperties2 properties{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    properties.pNext = &p11;
    p11.pNext = &p12;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dot_feature{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceSubgroupSizeControlFeatures size_feature{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES};
    VkPhysicalDeviceVulkan12Features f12{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES};
    VkPhysicalDeviceVulkan11Features f11{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
    VkPhysicalDeviceFeatures2 features{VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2};
    features.pNext = &f11;
    f11.pNext = &f12;
    f.cooperative_matrix =
        v13 && has_extension(extensions, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix_feature{
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR};
    // Without its shaders nobody asks, nor is a layer shown a struct that it may not know.
    const bool asks_matrix = f.cooperative_matrix && has_matrix_shader();
    if (v13) {
        p12.pNext = &dot;
        dot.pNext = &size_control;
        size_control.pNext = &sizes;
        f12.pNext = &dot_feature;
        dot_feature.pNext = &size_feature;
        if (asks_matrix) size_feature.pNext = &matrix_feature;
    }
    vkGetPhysicalDeviceProperties2(physical, &properties);
    vkGetPhysicalDeviceFeatures2(physical, &features);
    if (f12.timelineSemaphore != VK_TRUE) {
        why = "has no timeline semaphores";
        return false;
    }

    const VkPhysicalDeviceProperties& core = properties.properties;
    f.driver_version = core.driverVersion;
    f.vendor = core.vendorID;
    f.device = core.deviceID;
    f.kind = kind_of(core.deviceType);
    f.gpu = f.kind != TENON_DEVICE_CPU;
    std::memcpy(f.uuid, p11.deviceUUID, VK_UUID_SIZE);
    std::memcpy(f.driver_uuid, p11.driverUUID, VK_UUID_SIZE);
    std::memcpy(f.cache_uuid, core.pipelineCacheUUID, VK_UUID_SIZE);
    std::memcpy(f.driver, p12.driverName, sizeof f.driver);
    std::memcpy(f.driver_info, p12.driverInfo, sizeof f.driver_info);
    read_limits(core.limits, f);
    f.allocation_max = std::max(p11.maxMemoryAllocationSize, kAllocationDefault);
    if (v13 && sizes.maxBufferSize != 0)
        f.allocation_max = std::min<uint64_t>(f.allocation_max, sizes.maxBufferSize);
    if (f.storage_align > kMemoryAlign) {
        why = "wants storage buffers at larger multiples than 256 bytes";
        return false;
    }

    if ((p11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0) {
        f.subgroup_ops = p11.subgroupSupportedOperations;
        f.subgroup_size = f.subgroup_size_min = f.subgroup_size_max = p11.subgroupSize;
    }
    f.subgroup_size_control =
        v13 && f.subgroup_size != 0 && size_feature.subgroupSizeControl == VK_TRUE &&
        size_feature.computeFullSubgroups == VK_TRUE &&
        (size_control.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
    if (f.subgroup_size_control) {
        f.subgroup_size_min = size_control.minSubgroupSize;
        f.subgroup_size_max = size_control.maxSubgroupSize;
    }
    f.storage8 = f12.storageBuffer8BitAccess == VK_TRUE;
    f.storage16 = f11.storageBuffer16BitAccess == VK_TRUE;
    f.int8 = f12.shaderInt8 == VK_TRUE;
    f.float16 = f12.shaderFloat16 == VK_TRUE;
    f.int16 = features.features.shaderInt16 == VK_TRUE;
    f.int64 = features.features.shaderInt64 == VK_TRUE;
    f.int_dot = v13 && dot_feature.shaderIntegerDotProduct == VK_TRUE;
    f.int_dot_accelerated =
        f.int_dot && dot.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
    if (matrix_feature.cooperativeMatrix == VK_TRUE && f12.vulkanMemoryModel == VK_TRUE &&
        f.float16 && f.subgroup_size_control && f.subgroup_size >= f.subgroup_size_min &&
        f.subgroup_size <= f.subgroup_size_max)
        f.matrix = find_matrix_shape(instance, physical);
    f.memory_budget = has_extension(extensions, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    return true;
}

void read_mask(sdk::OptionReader& reader, FeatureMask& mask) {
    constexpr int64_t kGigabyte = int64_t{1} << 30;
    reader.integer("mask_shared_bytes", &mask.shared_bytes, 0, kGigabyte);
    reader.integer("mask_storage_range", &mask.storage_range, 0, 4 * kGigabyte);
    reader.integer("mask_allocation", &mask.allocation, 0, 1024 * kGigabyte);
    reader.boolean("mask_subgroup", &mask.subgroup);
    reader.boolean("mask_storage8", &mask.storage8);
    reader.boolean("mask_storage16", &mask.storage16);
    reader.boolean("mask_int8", &mask.int8);
    reader.boolean("mask_int16", &mask.int16);
    reader.boolean("mask_int64", &mask.int64);
    reader.boolean("mask_float16", &mask.float16);
    reader.boolean("mask_int_dot", &mask.int_dot);
    reader.boolean("mask_coopmat", &mask.coopmat);
    reader.boolean("mask_timestamps", &mask.timestamps);
    reader.boolean("mask_host_access", &mask.host_access);
    reader.boolean("assume_gpu", &mask.assume_gpu);
}

void apply_mask(const FeatureMask& mask, Features& f) noexcept {
    if (mask.shared_bytes != 0) f.shared_bytes = std::min(f.shared_bytes, mask.shared_bytes);
    if (mask.storage_range != 0)
        f.storage_range = std::min(f.storage_range, mask.storage_range & ~uint64_t{3});
    if (mask.allocation != 0)
        f.allocation_max = std::min(f.allocation_max, std::max(mask.allocation, kAllocationLeast));
    if (mask.subgroup) {
        f.subgroup_size = f.subgroup_size_min = f.subgroup_size_max = f.subgroup_ops = 0;
        f.subgroup_size_control = false;
    }
    if (mask.timestamps) {
        f.timestamp_bits = 0;
        f.timestamp_ns = 0;
    }
    f.host_sees_device &= !mask.host_access;
    f.gpu |= mask.assume_gpu;
    f.storage8 &= !mask.storage8;
    f.storage16 &= !mask.storage16;
    f.int8 &= !mask.int8;
    f.int16 &= !mask.int16;
    f.int64 &= !mask.int64;
    f.float16 &= !mask.float16;
    if (mask.coopmat || mask.float16 || mask.subgroup) f.matrix = {};
    f.int_dot &= !mask.int_dot;
    f.int_dot_accelerated &= !mask.int_dot;
}

uint32_t shader_needs(const Features& f) noexcept {
    constexpr uint32_t kSubgroup = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                   VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                   VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    uint32_t has = 0;
    if ((f.subgroup_ops & kSubgroup) == kSubgroup) has |= shaders::kRequiresSubgroup;
    if (f.float16) has |= shaders::kRequiresFloat16;
    if (f.int8) has |= shaders::kRequiresInt8;
    if (f.int16) has |= shaders::kRequiresInt16;
    if (f.int64) has |= shaders::kRequiresInt64;
    if (f.storage8) has |= shaders::kRequiresStorage8;
    if (f.storage16) has |= shaders::kRequiresStorage16;
    // Emulated in software it is slower than what it replaces.
    if (f.int_dot_accelerated) has |= shaders::kRequiresIntDot;
    if (f.matrix != MatrixShape{}) has |= shaders::kRequiresCoopmat;
    return has;
}

EnabledFeatures::EnabledFeatures(const Features& f) {
    core.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    v11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES;
    v12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    subgroup.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES;
    core.pNext = &v11;
    v11.pNext = &v12;
    void** last = &v12.pNext;
    if (f.subgroup_size_control) {
        subgroup.subgroupSizeControl = VK_TRUE;
        subgroup.computeFullSubgroups = VK_TRUE;
        *last = &subgroup;
        last = &subgroup.pNext;
    }
    if (f.int_dot) {
        dot.shaderIntegerDotProduct = VK_TRUE;
        *last = &dot;
        last = &dot.pNext;
    }
    if (f.matrix != MatrixShape{}) {
        matrix.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
        matrix.cooperativeMatrix = VK_TRUE;
        v12.vulkanMemoryModel = VK_TRUE;
        extensions[n_extensions++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
        *last = &matrix;
    }
    core.features.shaderInt16 = f.int16 ? VK_TRUE : VK_FALSE;
    core.features.shaderInt64 = f.int64 ? VK_TRUE : VK_FALSE;
    v11.storageBuffer16BitAccess = f.storage16 ? VK_TRUE : VK_FALSE;
    v12.timelineSemaphore = VK_TRUE;
    v12.storageBuffer8BitAccess = f.storage8 ? VK_TRUE : VK_FALSE;
    v12.shaderInt8 = f.int8 ? VK_TRUE : VK_FALSE;
    v12.shaderFloat16 = f.float16 ? VK_TRUE : VK_FALSE;
    if (f.memory_budget) extensions[n_extensions++] = VK_EXT_MEMORY_BUDGET_EXTENSION_NAME;
}

void describe(const Features& f, char (&text)[128]) noexcept {
    char subgroup[32] = "no subgroup operations";
    if (f.subgroup_size != 0)
        std::snprintf(subgroup, sizeof subgroup, "subgroup %u", f.subgroup_size);
    char matrix[48];
    if (f.matrix != MatrixShape{}) {
        std::snprintf(matrix, sizeof matrix, "cooperative matrix %ux%ux%u", f.matrix.m, f.matrix.n,
                      f.matrix.k);
    } else {
        std::snprintf(matrix, sizeof matrix, "no cooperative matrix: %s",
                      !f.cooperative_matrix ? "not in this driver"
                      : has_matrix_shader() ? "not of f16"
                                            : "not in this build");
    }
    char whole[192];
    std::snprintf(whole, sizeof whole, "%.20s %.34s, Vulkan %u.%u.%u, %s, %s", f.driver,
                  f.driver_info, VK_API_VERSION_MAJOR(f.api_version),
                  VK_API_VERSION_MINOR(f.api_version), VK_API_VERSION_PATCH(f.api_version),
                  subgroup, matrix);
    sdk::set_text(text, whole);
}

}  // namespace tenon::vulkan
