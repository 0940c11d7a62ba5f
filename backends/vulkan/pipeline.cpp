#include "backends/vulkan/pipeline.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "backends/vulkan/result.h"

namespace tenon::vulkan {
namespace {

constexpr uint64_t kCacheBytesMax = uint64_t{256} << 20;

// In front of the driver's bytes. Any difference makes the file worthless.
struct CacheHeader {
    char magic[8];
    uint32_t version;
    uint32_t vendor_id;
    uint32_t driver_version;
    uint32_t pad;
    uint8_t uuid[16];
    uint64_t bytes;
    uint64_t checksum; // FNV-1a of the bytes behind it
};

uint64_t checksum(const uint8_t* bytes, size_t count) noexcept {
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < count; ++i) sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

CacheHeader header_of(const PipelineDevice& device) noexcept {
    CacheHeader header{};
    std::memcpy(header.magic, "TENONVKC", sizeof header.magic);
    header.version = 1;
    header.vendor_id = device.vendor_id;
    header.driver_version = device.driver_version;
    std::memcpy(header.uuid, device.uuid, sizeof header.uuid);
    return header;
}

bool read_all(int file, uint8_t* to, size_t count) noexcept {
    for (size_t done = 0; done < count;) {
        const ssize_t got = read(file, to + done, count - done);
        if (got <= 0) return false;
        done += static_cast<size_t>(got);
    }
    return true;
}

bool write_all(int file, const uint8_t* from, size_t count) noexcept {
    for (size_t done = 0; done < count;) {
        const ssize_t put = write(file, from + done, count - done);
        if (put <= 0) return false;
        done += static_cast<size_t>(put);
    }
    return true;
}

// The driver's bytes, or nothing.
std::vector<uint8_t> read_cache(const std::string& path, const CacheHeader& wanted) {
    std::vector<uint8_t> bytes;
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return bytes;
    CacheHeader seen{};
    struct stat facts {};
    if (fstat(file, &facts) == 0 && read_all(file, reinterpret_cast<uint8_t*>(&seen), sizeof seen) &&
        std::memcmp(&seen, &wanted, offsetof(CacheHeader, bytes)) == 0 &&
        seen.bytes <= kCacheBytesMax &&
        static_cast<uint64_t>(facts.st_size) == sizeof seen + seen.bytes) {
        bytes.resize(seen.bytes);
        if (!read_all(file, bytes.data(), bytes.size()) ||
            checksum(bytes.data(), bytes.size()) != seen.checksum)
            bytes.clear();
    }
    close(file);
    return bytes;
}

// Beside the file, then renamed: a reader sees the old one or the new one.
void write_cache(const std::string& path, CacheHeader header, const std::vector<uint8_t>& bytes) {
    char suffix[32];
    std::snprintf(suffix, sizeof suffix, ".%d.part", static_cast<int>(getpid()));
    const std::string part = path + suffix;
    const int file = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) return;
    header.bytes = bytes.size();
    header.checksum = checksum(bytes.data(), bytes.size());
    bool good = write_all(file, reinterpret_cast<const uint8_t*>(&header), sizeof header) &&
                write_all(file, bytes.data(), bytes.size());
    good = close(file) == 0 && good;
    if (!good || rename(part.c_str(), path.c_str()) != 0) unlink(part.c_str());
}

} // namespace

sdk::Status PipelineTable::open(const PipelineDevice& device) {
    std::vector<uint8_t> bytes;
    if (!device.cache_path.empty()) bytes = read_cache(device.cache_path, header_of(device));
    VkPipelineCacheCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    info.initialDataSize = bytes.size();
    info.pInitialData = bytes.data();
    TENON_VK_CHECK(vkCreatePipelineCache, device.device, &info, nullptr, &cache_);
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
        if (count <= kCacheBytesMax) write_cache(device_.cache_path, header_of(device_), bytes);
    } catch (const std::exception&) {
        // Out of memory: no cache this time.
    }
}

sdk::Status PipelineTable::get(const shaders::ShaderVariant& variant,
                               std::vector<SpecConstant> constants, uint32_t push_bytes,
                               uint32_t bindings, const Pipeline** pipeline) {
    if (variant.push_bytes > push_bytes || push_bytes > kPushBytesMax ||
        (variant.binding_mask & ~bindings) != 0)
        return sdk::fail(TENON_INTERNAL,
                         "Shader %s/%s reads %u bytes of push constants and bindings 0x%x; its params.h "
                         "declares %u and 0x%x.",
                         variant.family, variant.name, variant.push_bytes, variant.binding_mask,
                         push_bytes, bindings);
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
        entries.push_back({pipeline.constants[i].id,
                           static_cast<uint32_t>(i * sizeof(SpecConstant) +
                                                 offsetof(SpecConstant, word)),
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
    const VkResult result = vkCreateComputePipelines(device_.device, cache_, 1, &info, nullptr,
                                                        &pipeline.pipeline);
    vkDestroyShaderModule(device_.device, module, nullptr);
    return check_result(result, "vkCreateComputePipelines");
}

} // namespace tenon::vulkan
