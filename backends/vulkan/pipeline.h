// Pipelines of a device: one per shader variant and specialization, made once and shared by all
// programs, with the driver's own cache in a file.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/vulkan/pipeline_cache.h"
#include "backends/vulkan/volk.h"
#include "shaders/shader_list.h"

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

constexpr uint32_t kPushBytesMax = 128;  // what every device of Vulkan 1.2 has

// One specialization constant: its constant_id and its 32 bits.
struct SpecConstant {
    uint32_t id;
    uint32_t word;
    bool operator==(const SpecConstant& other) const noexcept {
        return id == other.id && word == other.word;
    }
};

// Owned by its PipelineTable; lives as long as the device.
struct Pipeline {
    const shaders::ShaderVariant* variant = nullptr;
    std::vector<SpecConstant> constants;
    VkDescriptorSetLayout set = VK_NULL_HANDLE;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    VkPipeline pipeline = VK_NULL_HANDLE;
};

// What a pipeline table is made for.
struct PipelineDevice {
    VkDevice device = VK_NULL_HANDLE;
    uint32_t subgroup_size = 0;  // what variants of cooperative matrices are made for
    CacheOwner owner;
    std::string cache_path;  // file of the driver's cache; empty: none
};

class PipelineTable {
public:
    // A cache file that is damaged or belongs to another device or driver is left out, the former with a
    // warning in the log.
    sdk::Status open(const PipelineDevice& device);
    // Writes the cache file if a pipeline was made since, and frees everything.
    ~PipelineTable();
    PipelineTable() = default;
    PipelineTable(const PipelineTable&) = delete;
    PipelineTable& operator=(const PipelineTable&) = delete;

    // The pipeline, made now if need be. Constants that the module does not have are left out.
    // INTERNAL when the variant's push constants differ from `push_bytes`, or it reads a binding that
    // is not a bit of `bindings`. Safe from several threads.
    sdk::Status get(const shaders::ShaderVariant& variant, std::vector<SpecConstant> constants,
                    uint32_t push_bytes, uint32_t bindings, const Pipeline** pipeline);

    // Writes the cache file, if there is one and it lacks something. What fails is at most a warning in
    // the log: the cache only saves time.
    void save() noexcept;

private:
    sdk::Status make(Pipeline& pipeline);

    PipelineDevice device_;
    std::mutex mutex_;
    VkPipelineCache cache_ = VK_NULL_HANDLE;
    bool dirty_ = false;
    bool warned_ = false;  // about the cache file; once is enough
    std::vector<std::unique_ptr<Pipeline>> pipelines_;
};

}  // namespace tenon::vulkan
