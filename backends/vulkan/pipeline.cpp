#include "backends/vulkan/pipeline.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "backends/vulkan/result.h"

namespace tenon::vulkan {

sdk::Status PipelineTable::open(const PipelineDevice& device) {
    std::vector<uint8_t> bytes;
    const char* path = device.cache_path.c_str();
    if (!device.cache_path.empty()) {
        switch (read_cache(device.cache_path, device.owner, bytes)) {
            case CacheState::kUsed:
                sdk::log(TENON_LOG_DEBUG, "The pipeline cache %s gives %zu bytes to the driver.",
                         path, bytes.size());
                break;
            case CacheState::kAbsent: break;
            case CacheState::kForeign:
                sdk::log(
                    TENON_LOG_INFO,
                    "The pipeline cache %s is of another device or driver; it will be replaced.",
                    path);
                break;
            case CacheState::kDamaged:
                warned_ = true;
                sdk::log(TENON_LOG_WARN,
                         "The pipeline cache %s is damaged or no file of ours: it is left out, "
                         "pipelines "
                         "are compiled again.",
                         path);
                break;
        }
    }
    VkPipelineCacheCreateInfo info{VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    info.initialDataSize = bytes.size();
    info.pInitialData = bytes.data();
    VkResult result = vkCreatePipelineCache(device.device, &info, nullptr, &cache_);
    if (result != VK_SUCCESS && !bytes.empty()) {
        // Its own bytes, refused: it may do without.
        info.initialDataSize = 0;
        info.pInitialData = nullptr;
        result = vkCreatePipelineCache(device.device, &info, nullptr, &cache_);
    }
    TENON_SDK_CHECK(check_result(result, "vkCreatePipelineCache"));
    device_ = device;
    return {};
}

PipelineTable::~PipelineTable() {
    if (device_.device == VK_NULL_HANDLE) return;
    save();
    for (const auto& p : pipelines_) {
        vkDestroyPipeline(device_.device, p->pipeline, nullptr);
        vkDestroyPipelineLayout(device_.device, p->layout, nullptr);
        vkDestroyDescriptorSetLayout(device_.device, p->set, nullptr);
    }
    vkDestroyPipelineCache(device_.device, cache_, nullptr);
}

void PipelineTable::save() noexcept {
    try {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!dirty_ || device_.cache_path.empty() || cache_ == VK_NULL_HANDLE) return;
        dirty_ = false;
        size_t count = 0;
        if (vkGetPipelineCacheData(device_.device, cache_, &count, nullptr) != VK_SUCCESS) return;
        std::vector<uint8_t> bytes(count);
        if (vkGetPipelineCacheData(device_.device, cache_, &count, bytes.data()) != VK_SUCCESS)
            return;
        bytes.resize(count);
        if (write_cache(device_.cache_path, device_.owner, bytes) || warned_) return;
        warned_ = true;
        sdk::log(
            TENON_LOG_WARN,
            "The pipeline cache %s cannot be written (%s); pipelines are compiled again next time.",
            device_.cache_path.c_str(), std::strerror(errno));
    } catch (const std::exception&) {
        // Out of memory: no cache this time.
    }
}

sdk::Status PipelineTable::get(const shaders::ShaderVariant& variant,
                               std::vector<SpecConstant> constants, uint32_t push_bytes,
                               uint32_t bindings, const Pipeline** pipeline) {
    if (variant.push_bytes > push_bytes || push_bytes > kPushBytesMax ||
        (variant.binding_mask & ~bindings) != 0)
        return sdk::fail(
            TENON_INTERNAL,
            "Shader %s/%s reads %u bytes of push constants and bindings 0x%x; its params.h "
            "declares %u and 0x%x.",
            variant.family, variant.name, variant.push_bytes, variant.binding_mask, push_bytes,
            bindings);
    constants.erase(std::remove_if(constants.begin(), constants.end(),
                                   [&](const SpecConstant& c) {
                                       return c.id >= 32 || (variant.spec_mask >> c.id & 1u) == 0;
                                   }),
                    constants.end());
    std::sort(constants.begin(), constants.end(),
              [](const SpecConstant& a, const SpecConstant& b) { return a.id < b.id; });
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& known : pipelines_) {
        if (known->variant != &variant || known->constants != constants) continue;
        *pipeline = known.get();
        return {};
    }
    auto made = std::make_unique<Pipeline>();
    made->variant = &variant;
    made->constants = std::move(constants);
    const sdk::Status status = make(*made);
    if (!status.ok()) {
        vkDestroyPipelineLayout(device_.device, made->layout, nullptr);
        vkDestroyDescriptorSetLayout(device_.device, made->set, nullptr);
        return status;
    }
    pipelines_.push_back(std::move(made));
    dirty_ = true;
    *pipeline = pipelines_.back().get();
    return {};
}

sdk::Status PipelineTable::make(Pipeline& pipeline) {
    const shaders::ShaderVariant& variant = *pipeline.variant;
    std::vector<VkDescriptorSetLayoutBinding> bindings;
    for (uint32_t b = 0; b < 32; ++b)
        if ((variant.binding_mask >> b & 1u) != 0)
            bindings.push_back(
                {b, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1, VK_SHADER_STAGE_COMPUTE_BIT, nullptr});
    VkDescriptorSetLayoutCreateInfo set{};
    set.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO;
    set.bindingCount = static_cast<uint32_t>(bindings.size());
    set.pBindings = bindings.data();
    TENON_VK_CHECK(vkCreateDescriptorSetLayout, device_.device, &set, nullptr, &pipeline.set);

    const VkPushConstantRange push{VK_SHADER_STAGE_COMPUTE_BIT, 0, kPushBytesMax};
    VkPipelineLayoutCreateInfo layout{};
    layout.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout.setLayoutCount = 1;
    layout.pSetLayouts = &pipeline.set;
    layout.pushConstantRangeCount = 1;
    layout.pPushConstantRanges = &push;
    TENON_VK_CHECK(vkCreatePipelineLayout, device_.device, &layout, nullptr, &pipeline.layout);

    VkShaderModuleCreateInfo words{};
    words.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    words.codeSize = size_t{variant.n_words} * 4;
    words.pCode = variant.words;
    VkShaderModule module = VK_NULL_HANDLE;
    TENON_VK_CHECK(vkCreateShaderModule, device_.device, &words, nullptr, &module);
    std::vector<VkSpecializationMapEntry> entries;
    for (uint32_t i = 0; i < pipeline.constants.size(); ++i)
        entries.push_back(
            {pipeline.constants[i].id,
             static_cast<uint32_t>(i * sizeof(SpecConstant) + offsetof(SpecConstant, word)),
             sizeof(uint32_t)});
    VkSpecializationInfo special{};
    special.mapEntryCount = static_cast<uint32_t>(entries.size());
    special.pMapEntries = entries.data();
    special.dataSize = pipeline.constants.size() * sizeof(SpecConstant);
    special.pData = pipeline.constants.data();
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module;
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &special;
    info.layout = pipeline.layout;
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size{
        VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO};
    size.requiredSubgroupSize = device_.subgroup_size;
    if ((variant.requires_bits & shaders::kRequiresCoopmat) != 0) {
        info.stage.pNext = &size;
        info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
    }
    const VkResult result =
        vkCreateComputePipelines(device_.device, cache_, 1, &info, nullptr, &pipeline.pipeline);
    vkDestroyShaderModule(device_.device, module, nullptr);
    return check_result(result, "vkCreateComputePipelines");
}

}  // namespace tenon::vulkan
