#define VK_NO_PROTOTYPES
#define VOLK_IMPLEMENTATION
#include <volk.h>

#include "tests/shaders/device_fixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>

namespace tenon::shaders {
namespace {

constexpr size_t kGuardBytes = 256;
constexpr std::byte kGuard{0xC3};

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
        lists_matrices |= std::strcmp(extension.extensionName,
                                      VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) == 0;
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
    const VkSubgroupFeatureFlags operations = VK_SUBGROUP_FEATURE_BASIC_BIT |
                                              VK_SUBGROUP_FEATURE_ARITHMETIC_BIT |
                                              VK_SUBGROUP_FEATURE_BALLOT_BIT |
                                              VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
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

// Made when the first test asks, dropped after the last.
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

Machine& machine() {
    return g_owner->machine();
}

// Every handle of one run; what was made is destroyed, in whichever order the run ends.
struct Run {
    Machine& m;
    struct Buffer {
        VkBuffer buffer = VK_NULL_HANDLE;
        VkDeviceMemory memory = VK_NULL_HANDLE;
        std::byte* mapped = nullptr;
        size_t bytes = 0;  // without the guard
    };
    std::map<uint32_t, Buffer> buffers;
    VkShaderModule shader = VK_NULL_HANDLE;
    VkDescriptorSetLayout set_layout = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    VkPipeline pipeline = VK_NULL_HANDLE;
    VkDescriptorPool descriptors = VK_NULL_HANDLE;
    VkDescriptorSet set = VK_NULL_HANDLE;
    VkCommandBuffer commands = VK_NULL_HANDLE;

    explicit Run(Machine& machine) : m(machine) {}
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    ~Run() {
        if (commands != VK_NULL_HANDLE) vkFreeCommandBuffers(m.device, m.pool, 1, &commands);
        vkDestroyDescriptorPool(m.device, descriptors, nullptr);
        vkDestroyPipeline(m.device, pipeline, nullptr);
        vkDestroyPipelineLayout(m.device, layout, nullptr);
        vkDestroyDescriptorSetLayout(m.device, set_layout, nullptr);
        vkDestroyShaderModule(m.device, shader, nullptr);
        for (auto& [binding, buffer] : buffers) {
            vkDestroyBuffer(m.device, buffer.buffer, nullptr);
            vkFreeMemory(m.device, buffer.memory, nullptr);
        }
    }

    static Status check(VkResult result, const char* call) {
        if (result == VK_SUCCESS) return {};
        return Error{Code::kInternal, fmt::format("{} answers {}", call, static_cast<int>(result))};
    }

    Status make_buffer(uint32_t binding, const std::byte* from, size_t bytes) {
        Buffer& made = buffers[binding];
        made.bytes = bytes;
        auto info = typed<VkBufferCreateInfo>(VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO);
        info.size = bytes + kGuardBytes;
        info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT;
        TENON_CHECK(
            check(vkCreateBuffer(m.device, &info, nullptr, &made.buffer), "vkCreateBuffer"));
        VkMemoryRequirements needs{};
        vkGetBufferMemoryRequirements(m.device, made.buffer, &needs);
        const VkMemoryPropertyFlags wanted =
            VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
        uint32_t type = 0;
        while (type < m.memory.memoryTypeCount &&
               ((needs.memoryTypeBits >> type & 1) == 0 ||
                (m.memory.memoryTypes[type].propertyFlags & wanted) != wanted)) {
            ++type;
        }
        auto allocate = typed<VkMemoryAllocateInfo>(VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO);
        allocate.allocationSize = needs.size;
        allocate.memoryTypeIndex = type;
        TENON_CHECK(check(vkAllocateMemory(m.device, &allocate, nullptr, &made.memory),
                          "vkAllocateMemory"));
        TENON_CHECK(
            check(vkBindBufferMemory(m.device, made.buffer, made.memory, 0), "vkBindBufferMemory"));
        void* mapped = nullptr;
        TENON_CHECK(
            check(vkMapMemory(m.device, made.memory, 0, VK_WHOLE_SIZE, 0, &mapped), "vkMapMemory"));
        made.mapped = static_cast<std::byte*>(mapped);
        if (from != nullptr) std::memcpy(made.mapped, from, bytes);
        std::memset(made.mapped + bytes, static_cast<int>(kGuard), kGuardBytes);
        return {};
    }

    Status make_pipeline(const ShaderVariant& variant, const std::map<uint32_t, uint32_t>& specs) {
        auto module_info =
            typed<VkShaderModuleCreateInfo>(VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO);
        module_info.codeSize = variant.n_words * sizeof(uint32_t);
        module_info.pCode = variant.words;
        TENON_CHECK(check(vkCreateShaderModule(m.device, &module_info, nullptr, &shader),
                          "vkCreateShaderModule"));
        std::vector<VkDescriptorSetLayoutBinding> bindings;
        for (const auto& [binding, buffer] : buffers) {
            bindings.push_back({binding, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
                                VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
        }
        auto set_info = typed<VkDescriptorSetLayoutCreateInfo>(
            VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO);
        set_info.bindingCount = static_cast<uint32_t>(bindings.size());
        set_info.pBindings = bindings.data();
        TENON_CHECK(check(vkCreateDescriptorSetLayout(m.device, &set_info, nullptr, &set_layout),
                          "vkCreateDescriptorSetLayout"));
        const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, variant.push_bytes};
        auto layout_info =
            typed<VkPipelineLayoutCreateInfo>(VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO);
        layout_info.setLayoutCount = 1;
        layout_info.pSetLayouts = &set_layout;
        layout_info.pushConstantRangeCount = variant.push_bytes != 0 ? 1 : 0;
        layout_info.pPushConstantRanges = &range;
        TENON_CHECK(check(vkCreatePipelineLayout(m.device, &layout_info, nullptr, &layout),
                          "vkCreatePipelineLayout"));

        std::vector<VkSpecializationMapEntry> entries;
        std::vector<uint32_t> values;
        for (const auto& [id, value] : specs) {
            entries.push_back(
                {id, static_cast<uint32_t>(values.size() * sizeof(uint32_t)), sizeof(uint32_t)});
            values.push_back(value);
        }
        const VkSpecializationInfo specialization{static_cast<uint32_t>(entries.size()),
                                                  entries.data(), values.size() * sizeof(uint32_t),
                                                  values.data()};
        auto info =
            typed<VkComputePipelineCreateInfo>(VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO);
        info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
        info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
        info.stage.module = shader;
        info.stage.pName = "main";
        info.stage.pSpecializationInfo = &specialization;
        info.layout = layout;
        auto size = typed<VkPipelineShaderStageRequiredSubgroupSizeCreateInfo>(
            VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
        size.requiredSubgroupSize = m.description.subgroup_size;
        if ((variant.requires_bits & kRequiresCoopmat) != 0) {
            info.stage.pNext = &size;
            info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
        }
        return check(
            vkCreateComputePipelines(m.device, VK_NULL_HANDLE, 1, &info, nullptr, &pipeline),
            "vkCreateComputePipelines");
    }

    Status make_set() {
        const VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                        static_cast<uint32_t>(buffers.size())};
        auto pool_info =
            typed<VkDescriptorPoolCreateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO);
        pool_info.maxSets = 1;
        pool_info.poolSizeCount = 1;
        pool_info.pPoolSizes = &size;
        TENON_CHECK(check(vkCreateDescriptorPool(m.device, &pool_info, nullptr, &descriptors),
                          "vkCreateDescriptorPool"));
        auto allocate =
            typed<VkDescriptorSetAllocateInfo>(VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO);
        allocate.descriptorPool = descriptors;
        allocate.descriptorSetCount = 1;
        allocate.pSetLayouts = &set_layout;
        TENON_CHECK(
            check(vkAllocateDescriptorSets(m.device, &allocate, &set), "vkAllocateDescriptorSets"));
        for (const auto& [binding, buffer] : buffers) {
            const VkDescriptorBufferInfo info{buffer.buffer, 0, buffer.bytes};
            auto write = typed<VkWriteDescriptorSet>(VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET);
            write.dstSet = set;
            write.dstBinding = binding;
            write.descriptorCount = 1;
            write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
            write.pBufferInfo = &info;
            vkUpdateDescriptorSets(m.device, 1, &write, 0, nullptr);
        }
        return {};
    }

    Status record(const std::vector<std::byte>& push, uint32_t times) {
        auto allocate =
            typed<VkCommandBufferAllocateInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO);
        allocate.commandPool = m.pool;
        allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
        allocate.commandBufferCount = 1;
        TENON_CHECK(check(vkAllocateCommandBuffers(m.device, &allocate, &commands),
                          "vkAllocateCommandBuffers"));
        auto begin = typed<VkCommandBufferBeginInfo>(VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO);
        TENON_CHECK(check(vkBeginCommandBuffer(commands, &begin), "vkBeginCommandBuffer"));
        vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
        vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, layout, 0, 1, &set, 0,
                                nullptr);
        if (!push.empty()) {
            vkCmdPushConstants(commands, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                               static_cast<uint32_t>(push.size()), push.data());
        }
        auto barrier = typed<VkMemoryBarrier>(VK_STRUCTURE_TYPE_MEMORY_BARRIER);
        barrier.srcAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
        for (uint32_t i = 0; i < times; ++i) {
            vkCmdDispatchIndirect(commands, buffers[STEP_BINDING].buffer,
                                  Dispatch::kDispatch * sizeof(StepDispatch));
            const bool last = i + 1 == times;
            barrier.dstAccessMask = last ? VK_ACCESS_HOST_READ_BIT
                                         : VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                                               VK_ACCESS_INDIRECT_COMMAND_READ_BIT;
            const VkPipelineStageFlags after =
                last ? VK_PIPELINE_STAGE_HOST_BIT
                     : VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT;
            vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, after, 0, 1,
                                 &barrier, 0, nullptr, 0, nullptr);
        }
        return check(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
    }

    Status submit(double& seconds) {
        auto info = typed<VkSubmitInfo>(VK_STRUCTURE_TYPE_SUBMIT_INFO);
        info.commandBufferCount = 1;
        info.pCommandBuffers = &commands;
        const auto start = std::chrono::steady_clock::now();
        TENON_CHECK(check(vkQueueSubmit(m.queue, 1, &info, VK_NULL_HANDLE), "vkQueueSubmit"));
        TENON_CHECK(check(vkQueueWaitIdle(m.queue), "vkQueueWaitIdle"));
        seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        return {};
    }
};

}  // namespace

void DeviceTest::SetUp() {
    machine().messages.clear();
    if (!machine().absent.empty()) GTEST_SKIP() << "no Vulkan device: " << machine().absent;
}

void DeviceTest::TearDown() {
    for (const std::string& message : machine().messages) {
        ADD_FAILURE() << "validation: " << message;
    }
}

const TestDevice& DeviceTest::device() const {
    return machine().description;
}

Status Dispatch::run(std::array<uint32_t, 3> groups, uint32_t rows, uint32_t times) {
    Machine& m = machine();
    const std::string name = family_ + "/" + variant_;
    const ShaderVariant* variant = find_shader(family_.c_str(), variant_.c_str());
    if (variant == nullptr) return Error{Code::kInvalid, "no shader variant is named " + name};
    if ((variant->requires_bits & ~m.description.supported) != 0) {
        return Error{Code::kUnsupported, fmt::format("{} requires bits {:#x}; {} has {:#x}", name,
                                                     variant->requires_bits, m.description.name,
                                                     m.description.supported)};
    }
    if (push_.size() != variant->push_bytes) {
        return Error{Code::kInvalid, fmt::format("{} has {} bytes of push constants; {} were given",
                                                 name, variant->push_bytes, push_.size())};
    }
    const uint32_t missing_specs = [&] {
        uint32_t given = 0;
        for (const auto& spec : specs_)
            given |= 1u << spec.first;
        return given & ~variant->spec_mask;
    }();
    if (missing_specs != 0) {
        return Error{
            Code::kInvalid,
            fmt::format("{} lacks the specialization constants of mask {:#x}; it has {:#x}", name,
                        missing_specs, variant->spec_mask)};
    }
    const std::array<uint32_t, 2> header{kDispatch, kStepWords};
    std::memcpy(push_.data(), header.data(), std::min(push_.size(), sizeof header));

    Run run(m);
    uint32_t bound = 1u << STEP_BINDING;
    const std::array<uint32_t, 12> step{0,         0,    0, other_rows_, groups[0], groups[1],
                                        groups[2], rows, 0, 0,           0,         0};
    TENON_CHECK(run.make_buffer(STEP_BINDING, reinterpret_cast<const std::byte*>(step.data()),
                                sizeof step));
    for (const auto& [binding, data] : bound_) {
        if (data.bytes > m.limits.maxStorageBufferRange) {
            return Error{Code::kUnsupported,
                         fmt::format("{} bytes at binding {} are more than this device binds",
                                     data.bytes, binding)};
        }
        const bool empty = data.bytes == 0;
        TENON_CHECK(run.make_buffer(binding, empty ? nullptr : data.from, empty ? 4 : data.bytes));
        bound |= 1u << binding;
    }
    if ((variant->binding_mask & ~bound) != 0) {
        return Error{Code::kInvalid,
                     fmt::format("{} has the bindings of mask {:#x}; bound are {:#x}", name,
                                 variant->binding_mask, bound)};
    }
    TENON_CHECK(run.make_pipeline(*variant, specs_));
    TENON_CHECK(run.make_set());
    TENON_CHECK(run.record(push_, times));
    TENON_CHECK(run.submit(seconds_));

    std::memcpy(&error_, run.buffers[STEP_BINDING].mapped + kStepWords * sizeof(uint32_t),
                sizeof error_);
    for (const auto& [binding, data] : bound_) {
        if (data.to != nullptr && data.bytes != 0) {
            std::memcpy(data.to, run.buffers[binding].mapped, data.bytes);
        }
    }
    for (const auto& [binding, buffer] : run.buffers) {
        for (size_t i = 0; i < kGuardBytes; ++i) {
            if (buffer.mapped[buffer.bytes + i] != kGuard) {
                return Error{Code::kInternal,
                             fmt::format("{} wrote {} bytes behind the {} bytes of binding {}",
                                         name, i, buffer.bytes, binding)};
            }
        }
    }
    return {};
}

}  // namespace tenon::shaders
