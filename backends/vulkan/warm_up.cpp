#include "backends/vulkan/warm_up.h"

#include <algorithm>

#include "backends/vulkan/exec.h"
#include "backends/vulkan/result.h"

namespace tenon::vulkan {
namespace {

// Every pipeline with a set whose bindings all lead to the same memory, which nobody reads.
class Warming {
public:
    explicit Warming(Device& device) : device_(device) {}
    ~Warming() {
        if (pool_ != VK_NULL_HANDLE) vkDestroyDescriptorPool(device_.handle, pool_, nullptr);
    }
    Warming(const Warming&) = delete;
    Warming& operator=(const Warming&) = delete;

    void add(const Pipeline* pipeline) {
        if (std::find(pipelines_.begin(), pipelines_.end(), pipeline) == pipelines_.end())
            pipelines_.push_back(pipeline);
    }

    sdk::Status run() {
        if (pipelines_.empty()) return {};
        TENON_SDK_CHECK(device_.arena.take(Purpose::kScratch, kMemoryAlign,
                                           "Memory to warm up shaders", memory_));
        TENON_SDK_CHECK(make_sets());
        return device_.run_aside([](VkCommandBuffer commands,
                                    void* self) { static_cast<Warming*>(self)->record(commands); },
                                 this);
    }

private:
    sdk::Status make_sets() {
        std::vector<VkDescriptorSetLayout> layouts;
        VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 0};
        for (const Pipeline* pipeline : pipelines_) {
            layouts.push_back(pipeline->set);
            size.descriptorCount +=
                static_cast<uint32_t>(__builtin_popcount(pipeline->variant->binding_mask));
        }
        VkDescriptorPoolCreateInfo info{VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO};
        info.maxSets = static_cast<uint32_t>(layouts.size());
        info.poolSizeCount = 1;
        info.pPoolSizes = &size;
        TENON_VK_CHECK(vkCreateDescriptorPool, device_.handle, &info, nullptr, &pool_);
        sets_.resize(layouts.size());
        VkDescriptorSetAllocateInfo allocate{VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO};
        allocate.descriptorPool = pool_;
        allocate.descriptorSetCount = info.maxSets;
        allocate.pSetLayouts = layouts.data();
        TENON_VK_CHECK(vkAllocateDescriptorSets, device_.handle, &allocate, sets_.data());

        const VkDescriptorBufferInfo buffer{memory_.buffer(), memory_.offset(), memory_.bytes()};
        std::vector<VkWriteDescriptorSet> writes;
        for (size_t i = 0; i < sets_.size(); ++i) {
            for (uint32_t b = 0; b < 32; ++b) {
                if ((pipelines_[i]->variant->binding_mask >> b & 1u) == 0) continue;
                VkWriteDescriptorSet write{VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET};
                write.dstSet = sets_[i];
                write.dstBinding = b;
                write.descriptorCount = 1;
                write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
                write.pBufferInfo = &buffer;
                writes.push_back(write);
            }
        }
        vkUpdateDescriptorSets(device_.handle, static_cast<uint32_t>(writes.size()), writes.data(),
                               0, nullptr);
        return {};
    }

    void record(VkCommandBuffer commands) const {
        static constexpr uint8_t kZeros[kPushBytesMax] = {};
        // They all might write the same bytes.
        VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
        barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
        barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
        for (size_t i = 0; i < sets_.size(); ++i) {
            const Pipeline& p = *pipelines_[i];
            vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, p.pipeline);
            vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, p.layout, 0, 1,
                                    &sets_[i], 0, nullptr);
            if (p.variant->push_bytes != 0)
                vkCmdPushConstants(commands, p.layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                   p.variant->push_bytes, kZeros);
            vkCmdDispatch(commands, 0, 0, 0);
            vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
                                 VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &barrier, 0, nullptr,
                                 0, nullptr);
        }
    }

    Device& device_;
    Memory memory_;
    VkDescriptorPool pool_ = VK_NULL_HANDLE;
    std::vector<VkDescriptorSet> sets_;
    std::vector<const Pipeline*> pipelines_;
};

}  // namespace

sdk::Status warm_up(Exec& exec) {
    if (exec.device->features.kind != TENON_DEVICE_CPU) return {};
    Warming warming(*exec.device);
    for (const auto& bucket : exec.dispatches)
        for (const Dispatch& dispatch : bucket)
            if (dispatch.pipeline != nullptr) warming.add(dispatch.pipeline);
    return warming.run();
}

}  // namespace tenon::vulkan
