#define VOLK_IMPLEMENTATION
#include "tests/shaders/machine.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace tenon::shaders {
namespace {

VKAPI_ATTR VkBool32 VKAPI_CALL note_message(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                            VkDebugUtilsMessageTypeFlagsEXT,
                                            const VkDebugUtilsMessengerCallbackDataEXT* data,
                                            void* machine) {
    static_cast<Machine*>(machine)->messages.emplace_back(data->pMessage);
    return VK_FALSE;
}

bool has_layer(const char* name) {
    uint32_t count = 0;
    vkEnumerateInstanceLayerProperties(&count, nullptr);
    std::vector<VkLayerProperties> layers(count);
    vkEnumerateInstanceLayerProperties(&count, layers.data());
    for (const auto& layer : layers) {
        if (std::strcmp(layer.layerName, name) == 0) return true;
    }
    return false;
}

}  // namespace

bool Machine::make_instance() {
    if (volkInitialize() != VK_SUCCESS) {
        absent = "no Vulkan loader (libvulkan.so.1) is installed";
        return false;
    }
    const char* layer = "VK_LAYER_KHRONOS_validation";
    const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    description.validates = has_layer(layer);

    auto application = typed<VkApplicationInfo>(VK_STRUCTURE_TYPE_APPLICATION_INFO);
    application.apiVersion = VK_API_VERSION_1_3;
    const VkValidationFeatureEnableEXT synchronisation =
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    auto features = typed<VkValidationFeaturesEXT>(VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT);
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = &synchronisation;
    auto info = typed<VkInstanceCreateInfo>(VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO);
    info.pApplicationInfo = &application;
    if (description.validates) {
        info.pNext = &features;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &layer;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = &extension;
    }
    const VkResult made = vkCreateInstance(&info, nullptr, &instance);
    if (made != VK_SUCCESS) {
        absent = fmt::format("vkCreateInstance answers {}", static_cast<int>(made));
        return false;
    }
    volkLoadInstanceOnly(instance);
    if (description.validates) {
        auto wanted = typed<VkDebugUtilsMessengerCreateInfoEXT>(
            VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT);
        wanted.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                                 VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
        wanted.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
        wanted.pfnUserCallback = note_message;
        wanted.pUserData = this;
        vkCreateDebugUtilsMessengerEXT(instance, &wanted, nullptr, &messenger);
    }
    return true;
}

bool Machine::pick() {
    uint32_t count = 0;
    vkEnumeratePhysicalDevices(instance, &count, nullptr);
    std::vector<VkPhysicalDevice> found(count);
    vkEnumeratePhysicalDevices(instance, &count, found.data());
    const char* wanted = std::getenv("TENON_TEST_DEVICE");
    const size_t index = wanted != nullptr ? std::strtoul(wanted, nullptr, 10) : 0;
    if (index >= count) {
        absent =
            fmt::format("the Vulkan loader finds {} devices; wanted is device {}", count, index);
        return false;
    }
    physical = found[index];
    return true;
}

void Machine::add_matrices(const VkPhysicalDeviceProperties& properties,
                           VkPhysicalDeviceVulkan12Features& core12) {
    if (properties.apiVersion < VK_API_VERSION_1_3 || core12.vulkanMemoryModel == VK_FALSE ||
        core12.shaderFloat16 == VK_FALSE || find_shader("matmul", "cooperative") == nullptr)
        return;
    matrices.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    size_control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES;
    size_control.pNext = &matrices;
    auto features = typed<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
    features.pNext = &size_control;
    vkGetPhysicalDeviceFeatures2(physical, &features);
    if (matrices.cooperativeMatrix == VK_FALSE || size_control.computeFullSubgroups == VK_FALSE)
        return;
    description.matrix = vulkan::find_matrix_shape(instance, physical);
    if (description.matrix == vulkan::MatrixShape{}) return;
    matrices.cooperativeMatrixRobustBufferAccess = VK_FALSE;
    description.supported |= kRequiresCoopmat;
    matrices.pNext = core12.pNext;
    core12.pNext = &size_control;
}

void Machine::make_device() {
    auto subgroup = typed<VkPhysicalDeviceSubgroupProperties>(
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES);
    auto properties =
        typed<VkPhysicalDeviceProperties2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2);
    properties.pNext = &subgroup;
    vkGetPhysicalDeviceProperties2(physical, &properties);
    limits = properties.properties.limits;
    vkGetPhysicalDeviceMemoryProperties(physical, &memory);

    auto core12 = typed<VkPhysicalDeviceVulkan12Features>(
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    auto core11 = typed<VkPhysicalDeviceVulkan11Features>(
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES);
    auto dot = typed<VkPhysicalDeviceShaderIntegerDotProductFeatures>(
        VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES);
    auto features = typed<VkPhysicalDeviceFeatures2>(VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2);
    features.pNext = &core12;
    core12.pNext = &core11;
    uint32_t count = 0;
    vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, nullptr);
    std::vector<VkExtensionProperties> extensions(count);
    vkEnumerateDeviceExtensionProperties(physical, nullptr, &count, extensions.data());
    std::vector<const char*> enabled;
    bool lists_matrices = false;
    for (const auto& extension : extensions) {
        lists_matrices |=
            std::strcmp(extension.extensionName, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) == 0;
        if (std::strcmp(extension.extensionName,
                        VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME) == 0) {
            enabled.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
            core11.pNext = &dot;
        }
    }
    vkGetPhysicalDeviceFeatures2(physical, &features);
    features.features.robustBufferAccess = VK_FALSE;

    description.name = properties.properties.deviceName;
    description.subgroup_size = subgroup.subgroupSize;
    description.shared_bytes = limits.maxComputeSharedMemorySize;
    const VkSubgroupFeatureFlags operations =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
        VK_SUBGROUP_FEATURE_BALLOT_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
    const auto bit = [](bool has, Requires requirement) {
        return has ? uint32_t{requirement} : 0u;
    };
    description.supported = bit((subgroup.supportedOperations & operations) == operations &&
                                    (subgroup.supportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0,
                                kRequiresSubgroup) |
                            bit(core12.shaderFloat16, kRequiresFloat16) |
                            bit(core12.shaderInt8, kRequiresInt8) |
                            bit(features.features.shaderInt16, kRequiresInt16) |
                            bit(features.features.shaderInt64, kRequiresInt64) |
                            bit(core12.storageBuffer8BitAccess, kRequiresStorage8) |
                            bit(core11.storageBuffer16BitAccess, kRequiresStorage16) |
                            bit(dot.shaderIntegerDotProduct, kRequiresIntDot);
    if (lists_matrices) add_matrices(properties.properties, core12);
    if ((description.supported & kRequiresCoopmat) != 0)
        enabled.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);

    uint32_t families = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &families, nullptr);
    std::vector<VkQueueFamilyProperties> queues(families);
    vkGetPhysicalDeviceQueueFamilyProperties(physical, &families, queues.data());
    uint32_t family = 0;
    while (family < families && (queues[family].queueFlags & VK_QUEUE_COMPUTE_BIT) == 0)
        ++family;
    if (family == families) {
        absent = description.name + " has no queue that computes";
        return;
    }
    const float priority = 1.0f;
    auto queue_info = typed<VkDeviceQueueCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO);
    queue_info.queueFamilyIndex = family;
    queue_info.queueCount = 1;
    queue_info.pQueuePriorities = &priority;
    auto info = typed<VkDeviceCreateInfo>(VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO);
    info.pNext = &features;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue_info;
    info.enabledExtensionCount = static_cast<uint32_t>(enabled.size());
    info.ppEnabledExtensionNames = enabled.data();
    const VkResult made = vkCreateDevice(physical, &info, nullptr, &device);
    if (made != VK_SUCCESS) {
        absent = fmt::format("vkCreateDevice of {} answers {}", description.name,
                             static_cast<int>(made));
        return;
    }
    volkLoadDevice(device);
    vkGetDeviceQueue(device, family, 0, &queue);
    auto pool_info = typed<VkCommandPoolCreateInfo>(VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO);
    pool_info.queueFamilyIndex = family;
    vkCreateCommandPool(device, &pool_info, nullptr, &pool);
}

Machine::Machine() {
    if (make_instance() && pick()) make_device();
}

Machine::~Machine() {
    if (pool != VK_NULL_HANDLE) vkDestroyCommandPool(device, pool, nullptr);
    if (device != VK_NULL_HANDLE) vkDestroyDevice(device, nullptr);
    if (messenger != VK_NULL_HANDLE) vkDestroyDebugUtilsMessengerEXT(instance, messenger, nullptr);
    if (instance != VK_NULL_HANDLE) vkDestroyInstance(instance, nullptr);
}

namespace {

class MachineOwner : public ::testing::Environment {
public:
    Machine& machine() {
        if (!machine_) machine_ = std::make_unique<Machine>();
        return *machine_;
    }
    void TearDown() override { machine_.reset(); }

private:
    std::unique_ptr<Machine> machine_;
};

// GoogleTest owns it.
MachineOwner* const g_owner =
    static_cast<MachineOwner*>(::testing::AddGlobalTestEnvironment(new MachineOwner));

}  // namespace

Machine& machine() { return g_owner->machine(); }

}  // namespace tenon::shaders
