#include "backends/vulkan/instance.h"

#include <cstring>
#include <mutex>
#include <vector>

#include "backends/vulkan/result.h"

namespace tenon::vulkan {
namespace {

constexpr char kValidationLayer[] = "VK_LAYER_KHRONOS_validation";

std::mutex g_mutex;                      // guards the three
std::weak_ptr<Instance> g_instances[2];  // without and with validation
bool g_loaded = false;

bool has_layer(const char* name) {
    uint32_t count = 0;
    if (vkEnumerateInstanceLayerProperties(&count, nullptr) < 0) return false;
    std::vector<VkLayerProperties> layers(count);
    if (vkEnumerateInstanceLayerProperties(&count, layers.data()) < 0) return false;
    for (uint32_t i = 0; i < count; ++i)
        if (std::strcmp(layers[i].layerName, name) == 0) return true;
    return false;
}

}  // namespace

VKAPI_ATTR VkBool32 VKAPI_CALL Instance::tell(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                              VkDebugUtilsMessageTypeFlagsEXT,
                                              const VkDebugUtilsMessengerCallbackDataEXT* data,
                                              void* self) {
    static_cast<Instance*>(self)->messages_.fetch_add(1, std::memory_order_relaxed);
    sdk::log(TENON_LOG_ERROR, "Vulkan validation: %s", data->pMessage);
    return VK_FALSE;
}

sdk::Status Instance::open(bool validation, std::shared_ptr<Instance>& instance) {
    const std::lock_guard<std::mutex> lock(g_mutex);
    instance = g_instances[validation ? 1 : 0].lock();
    if (instance != nullptr) return {};
    if (!g_loaded && volkInitialize() != VK_SUCCESS) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "No Vulkan loader (libvulkan.so.1) is installed on this machine.");
    }
    std::shared_ptr<Instance> made(new Instance());
    TENON_SDK_CHECK(made->make(validation));
    if (!g_loaded) {
        // Functions of the loader's trampolines: they serve every instance and device.
        volkLoadInstance(made->handle_);
        g_loaded = true;
    }
    g_instances[validation ? 1 : 0] = made;
    instance = std::move(made);
    return {};
}

sdk::Status Instance::make(bool validation) {
    if (vkEnumerateInstanceVersion == nullptr || volkGetInstanceVersion() < VK_API_VERSION_1_2) {
        return sdk::fail(TENON_UNSUPPORTED, "The Vulkan loader is older than Vulkan 1.2.");
    }
    if (validation && !has_layer(kValidationLayer)) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "Option 'validation' needs the layer %s, which is not installed.",
                         kValidationLayer);
    }
    validation_ = validation;

    VkApplicationInfo application{VK_STRUCTURE_TYPE_APPLICATION_INFO};
    application.pApplicationName = "tenon";
    application.apiVersion = VK_API_VERSION_1_3;
    const char* layers[] = {kValidationLayer};
    const char* extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME};
    VkDebugUtilsMessengerCreateInfoEXT messenger{
        VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT};
    messenger.messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                                VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    messenger.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                            VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT;
    messenger.pfnUserCallback = tell;
    messenger.pUserData = this;
    const VkValidationFeatureEnableEXT enabled[] = {
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
    VkValidationFeaturesEXT features{VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT};
    features.pNext = &messenger;  // also heard while the instance is made and destroyed
    features.enabledValidationFeatureCount = 1;
    features.pEnabledValidationFeatures = enabled;
    VkInstanceCreateInfo info{VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO};
    info.pApplicationInfo = &application;
    if (validation) {
        info.pNext = &features;
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = layers;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = extensions;
    }
    const VkResult result = vkCreateInstance(&info, nullptr, &handle_);
    if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "The Vulkan loader finds no driver (ICD) on this machine.");
    }
    TENON_SDK_CHECK(check_result(result, "vkCreateInstance"));
    if (!validation) return {};
    const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(
        vkGetInstanceProcAddr(handle_, "vkCreateDebugUtilsMessengerEXT"));
    if (create == nullptr) {
        return sdk::fail(TENON_UNSUPPORTED, "The validation layer has no debug messenger.");
    }
    return check_result(create(handle_, &messenger, nullptr, &messenger_),
                        "vkCreateDebugUtilsMessengerEXT");
}

Instance::~Instance() {
    if (handle_ == VK_NULL_HANDLE) return;
    // Loaded by hand: the first instance, whose functions volk holds, may be gone or without layers.
    const auto destroy_messenger = reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(
        vkGetInstanceProcAddr(handle_, "vkDestroyDebugUtilsMessengerEXT"));
    const auto destroy = reinterpret_cast<PFN_vkDestroyInstance>(
        vkGetInstanceProcAddr(handle_, "vkDestroyInstance"));
    if (messenger_ != VK_NULL_HANDLE) destroy_messenger(handle_, messenger_, nullptr);
    destroy(handle_, nullptr);
    if (validation_ && messages() != 0)
        sdk::log(TENON_LOG_ERROR, "Vulkan validation: %u messages in all.", messages());
}

}  // namespace tenon::vulkan
