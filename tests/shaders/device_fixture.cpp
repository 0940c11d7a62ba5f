#include "tests/shaders/device_fixture.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "tests/shaders/machine.h"

namespace tenon::shaders {
namespace {

constexpr size_t kGuardBytes = 256;
constexpr std::byte kGuard{0xC3};

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

const TestDevice& DeviceTest::device() const { return machine().description; }

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
