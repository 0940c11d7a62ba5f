#include "backends/vulkan/recorder.h"

#include <algorithm>
#include <cstring>

#include "backends/vulkan/hazards.h"
#include "backends/vulkan/result.h"
#include "shaders/include/step.h"

namespace tenon::vulkan {
namespace {

constexpr VkPipelineStageFlags kReaders =
    VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT;
constexpr uint64_t kErrorBytes = STEP_ERROR_WORDS * sizeof(uint32_t);

// Everything before, on this queue, is seen by everything behind.
void full_barrier(VkCommandBuffer commands) noexcept {
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                            VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                            VK_ACCESS_INDIRECT_COMMAND_READ_BIT;
    vkCmdPipelineBarrier(commands, kReaders | VK_PIPELINE_STAGE_TRANSFER_BIT,
                         kReaders | VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, nullptr, 0,
                         nullptr);
}

sdk::Status begin_commands(VkCommandBuffer commands) {
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    info.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
    return check_result(vkBeginCommandBuffer(commands, &info), "vkBeginCommandBuffer");
}

sdk::Status end_commands(VkCommandBuffer commands) {
    return check_result(vkEndCommandBuffer(commands), "vkEndCommandBuffer");
}

sdk::Status make_command_buffer(const Exec& exec, VkCommandBuffer* commands) {
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = exec.pool;
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    return check_result(vkAllocateCommandBuffers(exec.device->handle, &info, commands),
                        "vkAllocateCommandBuffers");
}

// Records one bucket with the buffers of one bind.
class Recorder {
public:
    Recorder(Exec& exec, uint32_t bucket, Recording& out)
        : exec_(exec), dispatches_(exec.dispatches[bucket]), out_(out) {}

    sdk::Status record();

private:
    sdk::Status make_sets();
    sdk::Status begin_segment(uint32_t node);
    sdk::Status end_segment(uint32_t end_node);
    Range resolve(const Place& place) const noexcept;
    void order(const Dispatch& dispatch);
    void write_set(const Dispatch& dispatch, VkDescriptorSet set);
    void run(uint32_t index);
    Range nothing() const noexcept;
    Range step() const noexcept;

    Exec& exec_;
    const std::vector<Dispatch>& dispatches_;
    Recording& out_;
    std::vector<VkDescriptorSet> sets_;
    size_t next_set_ = 0;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
    size_t segment_ = 0;  // next one of out_.segments
    Hazards hazards_;
    std::vector<Hazards::Use> uses_;  // of one dispatch
    uint32_t barriers_ = 0;
};

Range Recorder::nothing() const noexcept {
    const uint64_t at = exec_.step.offset() + exec_.image_bytes;
    return {exec_.step.buffer(), at, at + kPlaceAlign};
}

Range Recorder::step() const noexcept {
    return {exec_.step.buffer(), exec_.step.offset(), exec_.step.offset() + exec_.image_bytes};
}

Range Recorder::resolve(const Place& place) const noexcept {
    if (place.bytes == 0) return nothing();
    switch (place.kind) {
        case Place::Kind::kScratch: {
            const uint64_t at = exec_.scratch.offset() + place.offset;
            return {exec_.scratch.buffer(), at, at + place.bytes};
        }
        case Place::Kind::kMemory: return {place.buffer, place.offset, place.offset + place.bytes};
        case Place::Kind::kSlot: break;
    }
    const BoundSlot& bound = out_.bound[place.slot];
    if (place.offset >= bound.bytes) return nothing();
    const uint64_t at = bound.offset + place.offset;
    return {bound.buffer, at, at + std::min(place.bytes, bound.bytes - place.offset)};
}

sdk::Status Recorder::make_sets() {
    const VkDevice device = exec_.device->handle;
    vkDestroyDescriptorPool(device, out_.sets, nullptr);
    out_.sets = VK_NULL_HANDLE;
    VkDescriptorPoolSize size{VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 0};
    std::vector<VkDescriptorSetLayout> layouts;
    for (const Dispatch& d : dispatches_) {
        if (d.pipeline == nullptr) continue;
        size.descriptorCount +=
            static_cast<uint32_t>(__builtin_popcount(d.pipeline->variant->binding_mask));
        layouts.push_back(d.pipeline->set);
    }
    if (layouts.empty()) return {};
    size.descriptorCount = std::max(size.descriptorCount, 1u);
    VkDescriptorPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO;
    pool.maxSets = static_cast<uint32_t>(layouts.size());
    pool.poolSizeCount = 1;
    pool.pPoolSizes = &size;
    TENON_SDK_CHECK(check_result(vkCreateDescriptorPool(device, &pool, nullptr, &out_.sets),
                                 "vkCreateDescriptorPool"));
    sets_.resize(layouts.size());
    VkDescriptorSetAllocateInfo sets{};
    sets.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO;
    sets.descriptorPool = out_.sets;
    sets.descriptorSetCount = pool.maxSets;
    sets.pSetLayouts = layouts.data();
    return check_result(vkAllocateDescriptorSets(device, &sets, sets_.data()),
                        "vkAllocateDescriptorSets");
}

void Recorder::write_set(const Dispatch& dispatch, VkDescriptorSet set) {
    VkDescriptorBufferInfo infos[32];
    VkWriteDescriptorSet writes[32];
    uint32_t count = 0;
    for (uint32_t b = 0; b < 32; ++b) {
        if ((dispatch.pipeline->variant->binding_mask >> b & 1u) == 0) continue;
        Range range = b == STEP_BINDING ? step() : nothing();
        for (const Binding& binding : dispatch.bindings)
            if (binding.index == b) range = resolve(binding.place);
        infos[count] = {range.buffer, range.begin, range.end - range.begin};
        VkWriteDescriptorSet& write = writes[count];
        write = {};
        write.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET;
        write.dstSet = set;
        write.dstBinding = b;
        write.descriptorCount = 1;
        write.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER;
        write.pBufferInfo = &infos[count];
        ++count;
    }
    vkUpdateDescriptorSets(exec_.device->handle, count, writes, 0, nullptr);
}

sdk::Status Recorder::begin_segment(uint32_t node) {
    if (segment_ == out_.segments.size()) {
        Segment made;
        TENON_SDK_CHECK(make_command_buffer(exec_, &made.commands));
        out_.segments.push_back(made);
    }
    Segment& segment = out_.segments[segment_];
    segment.first_node = node;
    commands_ = segment.commands;
    // A recording that failed half-way is still open.
    TENON_SDK_CHECK(check_result(vkResetCommandBuffer(commands_, 0), "vkResetCommandBuffer"));
    TENON_SDK_CHECK(begin_commands(commands_));
    full_barrier(commands_);
    hazards_.clear();
    if (segment_ == 0 && exec_.queries != VK_NULL_HANDLE)
        vkCmdResetQueryPool(commands_, exec_.queries, 0,
                            2 * static_cast<uint32_t>(exec_.nodes.size()));
    ++segment_;
    return {};
}

sdk::Status Recorder::end_segment(uint32_t end_node) {
    out_.segments[segment_ - 1].end_node = end_node;
    return end_commands(commands_);
}

// A barrier where the dispatch must not overtake. The reading of its own size is part of what waits only
// where the step buffer was written: else the device may look ahead.
void Recorder::order(const Dispatch& dispatch) {
    const bool step_written = hazards_.written(step());
    uses_.clear();
    uses_.push_back({step(), dispatch.reports});
    for (const Binding& binding : dispatch.bindings)
        uses_.push_back({resolve(binding.place), binding.writes});
    if (!hazards_.orders(uses_)) return;
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    VkPipelineStageFlags readers = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    if (step_written) {
        barrier.dstAccessMask |= VK_ACCESS_INDIRECT_COMMAND_READ_BIT;
        readers |= VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT;
    }
    vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, readers, 0, 1, &barrier,
                         0, nullptr, 0, nullptr);
    ++barriers_;
}

void Recorder::run(uint32_t index) {
    const Dispatch& d = dispatches_[index];
    if (d.pipeline == nullptr) return;
    const VkDescriptorSet set = sets_[next_set_++];
    write_set(d, set);
    order(d);
    vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, d.pipeline->pipeline);
    vkCmdBindDescriptorSets(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, d.pipeline->layout, 0, 1,
                            &set, 0, nullptr);
    vkCmdPushConstants(commands_, d.pipeline->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, d.push_bytes,
                       d.push);
    vkCmdDispatchIndirect(commands_, exec_.step.buffer(),
                          exec_.step.offset() + index * sizeof(shaders::StepDispatch));
}

sdk::Status Recorder::record() {
    TENON_SDK_CHECK(make_sets());
    const uint32_t count = static_cast<uint32_t>(dispatches_.size());
    uint32_t begun = 0;  // first dispatch of the segment
    uint32_t node = TENON_NONE;
    segment_ = 0;
    const auto stamp = [&](uint32_t of, uint32_t which, VkPipelineStageFlagBits stage) {
        if (exec_.queries != VK_NULL_HANDLE && of != TENON_NONE)
            vkCmdWriteTimestamp(commands_, stage, exec_.queries, 2 * of + which);
    };
    for (uint32_t i = 0; i < count; ++i) {
        const uint32_t next = dispatches_[i].node;
        if (next != node) {
            if (segment_ != 0) stamp(node, 1, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT);
            if (segment_ == 0 || i - begun >= kSegmentDispatches) {
                if (segment_ != 0) TENON_SDK_CHECK(end_segment(next));
                TENON_SDK_CHECK(begin_segment(segment_ == 0 ? 0 : next));
                begun = i;
            }
            stamp(next, 0, VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT);
            node = next;
        }
        run(i);
    }
    if (segment_ == 0) TENON_SDK_CHECK(begin_segment(0));
    stamp(node, 1, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT);
    TENON_SDK_CHECK(end_segment(static_cast<uint32_t>(exec_.nodes.size())));
    sdk::log(TENON_LOG_DEBUG, "Recorded %zu dispatches with %u barriers in %zu segments.",
             sets_.size(), barriers_, segment_);
    return {};
}

}  // namespace

sdk::Status record(Exec& exec, uint32_t bucket, Recording& recording) {
    return Recorder(exec, bucket, recording).record();
}

sdk::Status make_commands(Exec& exec) {
    const VkDevice device = exec.device->handle;
    VkCommandPoolCreateInfo pool{};
    pool.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool.queueFamilyIndex = exec.device->features.queue_family;
    TENON_SDK_CHECK(check_result(vkCreateCommandPool(device, &pool, nullptr, &exec.pool),
                                 "vkCreateCommandPool"));
    if (exec.profile) {
        VkQueryPoolCreateInfo queries{};
        queries.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
        queries.queryType = VK_QUERY_TYPE_TIMESTAMP;
        queries.queryCount = std::max(2 * static_cast<uint32_t>(exec.nodes.size()), 1u);
        TENON_SDK_CHECK(check_result(vkCreateQueryPool(device, &queries, nullptr, &exec.queries),
                                     "vkCreateQueryPool"));
        exec.node_ns.assign(exec.nodes.size(), 0);
        exec.ticks.assign(2 * exec.nodes.size(), 0);
    }
    for (uint32_t i = 0; i < kStepsInFlight; ++i) {
        StepRun& run = exec.runs[i];
        run.exec = &exec;
        const uint64_t at = i * exec.image_bytes;
        run.words = reinterpret_cast<uint32_t*>(exec.host.mapped() + at);
        TENON_SDK_CHECK(make_command_buffer(exec, &run.before));
        TENON_SDK_CHECK(begin_commands(run.before));
        full_barrier(run.before);
        const VkBufferCopy in{exec.host.offset() + at, exec.step.offset(), exec.image_bytes};
        vkCmdCopyBuffer(run.before, exec.host.buffer(), exec.step.buffer(), 1, &in);
        TENON_SDK_CHECK(end_commands(run.before));

        TENON_SDK_CHECK(make_command_buffer(exec, &run.behind));
        TENON_SDK_CHECK(begin_commands(run.behind));
        full_barrier(run.behind);
        const uint64_t error = uint64_t{exec.step_words} * sizeof(uint32_t);
        const VkBufferCopy out{exec.step.offset() + error, exec.host.offset() + at + error,
                               kErrorBytes};
        vkCmdCopyBuffer(run.behind, exec.step.buffer(), exec.host.buffer(), 1, &out);
        VkMemoryBarrier barrier{};
        barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
        barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
        barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
        vkCmdPipelineBarrier(run.behind, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT,
                             0, 1, &barrier, 0, nullptr, 0, nullptr);
        TENON_SDK_CHECK(end_commands(run.behind));
    }
    return {};
}

Exec::~Exec() {
    if (device == nullptr) return;
    const VkDevice handle = device->handle;
    for (auto& bucket : recordings)
        for (auto& recording : bucket)
            vkDestroyDescriptorPool(handle, recording->sets, nullptr);
    if (queries != VK_NULL_HANDLE) vkDestroyQueryPool(handle, queries, nullptr);
    if (pool != VK_NULL_HANDLE) vkDestroyCommandPool(handle, pool, nullptr);
}

}  // namespace tenon::vulkan
