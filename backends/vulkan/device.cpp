#include <sched.h>

#include <cstring>

#include "backends/vulkan/exec.h"
#include "backends/vulkan/instance.h"
#include "backends/vulkan/queue.h"
#include "backends/vulkan/result.h"

namespace tenon::vulkan {
namespace {

// Processors that a device which is the host's processor may use.
uint32_t usable_processors() noexcept {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return 1;
    const int count = CPU_COUNT(&mask);
    return count < 1 ? 1 : static_cast<uint32_t>(count);
}

struct Candidate {
    VkPhysicalDevice physical;
    Features features;
};

// Devices that can run this backend, each once: two drivers may list one device, the first counts.
sdk::Status list_devices(const Instance& instance, std::vector<Candidate>& list) {
    uint32_t count = 0;
    VkResult result = vkEnumeratePhysicalDevices(instance.handle(), &count, nullptr);
    std::vector<VkPhysicalDevice> found(count);
    if (result >= 0) result = vkEnumeratePhysicalDevices(instance.handle(), &count, found.data());
    // A loader without any driver says so in this way.
    if (result == VK_ERROR_INITIALIZATION_FAILED || result == VK_ERROR_INCOMPATIBLE_DRIVER)
        count = 0;
    else
        TENON_SDK_CHECK(check_result(result, "vkEnumeratePhysicalDevices"));
    for (uint32_t i = 0; i < count; ++i) {
        Candidate candidate{found[i], {}};
        std::string why;
        if (!read_features(instance.handle(), found[i], candidate.features, why)) {
            sdk::log(TENON_LOG_INFO, "Vulkan device %s is left out: it %s.",
                     candidate.features.name, why.c_str());
            continue;
        }
        bool known = false;
        for (const Candidate& other : list)
            known |= std::memcmp(other.features.uuid, candidate.features.uuid, VK_UUID_SIZE) == 0;
        if (!known) list.push_back(candidate);
    }
    return {};
}

void fill_info(const Features& features, tenon_device_info& info) noexcept {
    info.kind = features.kind;
    std::memcpy(info.uuid, features.uuid, sizeof info.uuid);
    sdk::set_text(info.name, features.name);
    describe(features, info.detail);
    info.threads = features.kind == TENON_DEVICE_CPU ? usable_processors() : 0;
    info.flags = 0;
}

sdk::Status make_device(Device& device) {
    const EnabledFeatures enabled(device.features);
    const float priority = 1;
    VkDeviceQueueCreateInfo queue{VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO};
    queue.queueFamilyIndex = device.features.queue_family;
    queue.queueCount = 1;
    queue.pQueuePriorities = &priority;
    VkDeviceCreateInfo info{VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO};
    info.pNext = &enabled.core;
    info.queueCreateInfoCount = 1;
    info.pQueueCreateInfos = &queue;
    info.enabledExtensionCount = enabled.n_extensions;
    info.ppEnabledExtensionNames = enabled.extensions;
    TENON_VK_CHECK(vkCreateDevice, device.physical, &info, nullptr, &device.handle.handle);
    vkGetDeviceQueue(device.handle, device.features.queue_family, 0, &device.vk_queue);
    device.arena.open(device.physical, device.handle, device.features);

    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo semaphore{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO};
    semaphore.pNext = &type;
    TENON_VK_CHECK(vkCreateSemaphore, device.handle, &semaphore, nullptr, &device.passed);

    VkCommandPoolCreateInfo pool{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    pool.queueFamilyIndex = device.features.queue_family;
    TENON_VK_CHECK(vkCreateCommandPool, device.handle, &pool, nullptr, &device.barrier_pool);
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = device.barrier_pool;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    TENON_VK_CHECK(vkAllocateCommandBuffers, device.handle, &allocate, &device.barrier);
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_SIMULTANEOUS_USE_BIT;
    TENON_VK_CHECK(vkBeginCommandBuffer, device.barrier, &begin);
    VkMemoryBarrier barrier{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    barrier.srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                            VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT |
                            VK_ACCESS_INDIRECT_COMMAND_READ_BIT | VK_ACCESS_HOST_READ_BIT;
    constexpr VkPipelineStageFlags kWork =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    vkCmdPipelineBarrier(device.barrier, kWork | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT,
                         kWork | VK_PIPELINE_STAGE_DRAW_INDIRECT_BIT | VK_PIPELINE_STAGE_HOST_BIT,
                         0, 1, &barrier, 0, nullptr, 0, nullptr);
    return check_result(vkEndCommandBuffer(device.barrier), "vkEndCommandBuffer");
}

std::string cache_path(const std::string& folder, const Features& features) {
    if (folder.empty()) return {};
    static constexpr char kHex[] = "0123456789abcdef";
    std::string path = folder + "/vulkan-";
    for (const uint8_t byte : features.uuid) {
        path += kHex[byte >> 4];
        path += kHex[byte & 15];
    }
    return path + ".cache";
}

sdk::Status open_kernels(Device& device, const std::string& force, const std::string& cache) {
    uint32_t has = shader_needs(device.features);
    // Emulated dot products are slow, and right: by name they may be asked for.
    if (!force.empty() && device.features.int_dot) has |= shaders::kRequiresIntDot;
    TENON_SDK_CHECK(device.kernels.open(has, device.features.shared_bytes, force));
    PipelineDevice where;
    where.device = device.handle;
    where.subgroup_size = device.features.subgroup_size;
    where.owner.vendor = device.features.vendor;
    where.owner.device = device.features.device;
    where.owner.driver_version = device.features.driver_version;
    std::memcpy(where.owner.cache_uuid, device.features.cache_uuid, VK_UUID_SIZE);
    std::memcpy(where.owner.driver_uuid, device.features.driver_uuid, VK_UUID_SIZE);
    where.cache_path = cache_path(cache, device.features);
    return device.pipelines.open(where);
}

}  // namespace

sdk::Status Impl::enumerate(sdk::DeviceList& list) {
    std::shared_ptr<Instance> instance;
    const sdk::Status opened = Instance::open(false, instance);
    if (!opened.ok()) {
        if (opened.code() == TENON_OOM_HOST || opened.code() == TENON_OOM_DEVICE) return opened;
        sdk::log(TENON_LOG_INFO, "%s", opened.message());
        return {};
    }
    std::vector<Candidate> found;
    TENON_SDK_CHECK(list_devices(*instance, found));
    for (const Candidate& candidate : found) {
        tenon_device_info info{};
        fill_info(candidate.features, info);
        memory_stat(candidate.physical, candidate.features, nullptr, &info.memory_bytes,
                    &info.memory_free_bytes);
        list.add(info);
    }
    return {};
}

sdk::Status Impl::device_open(const uint8_t* uuid, sdk::Span<const tenon_option> options,
                              std::unique_ptr<Device>& device) {
    bool validation = false;
    std::string force;
    std::string cache;
    FeatureMask mask;
    sdk::OptionReader reader(options);
    reader.boolean("validation", &validation);
    reader.text("force_variant", &force);
    reader.text("pipeline_cache", &cache);
    read_mask(reader, mask);
    TENON_SDK_CHECK(reader.finish());

    auto made = std::make_unique<Device>();
    TENON_SDK_CHECK(Instance::open(validation, made->instance));
    std::vector<Candidate> found;
    TENON_SDK_CHECK(list_devices(*made->instance, found));
    for (const Candidate& candidate : found) {
        if (std::memcmp(candidate.features.uuid, uuid, VK_UUID_SIZE) != 0) continue;
        made->physical = candidate.physical;
        made->features = candidate.features;
    }
    if (made->physical == VK_NULL_HANDLE) {
        return sdk::fail(TENON_INVALID, "None of the %zu Vulkan devices has this uuid.",
                         found.size());
    }
    apply_mask(mask, made->features);
    TENON_SDK_CHECK(make_device(*made));
    TENON_SDK_CHECK(open_kernels(*made, force, cache));
    made->worker = std::make_unique<Worker>(*made);
    TENON_SDK_CHECK(made->worker->start());
    device = std::move(made);
    return {};
}

sdk::Status Impl::device_stat(Device& device, tenon_device_info& info) {
    fill_info(device.features, info);
    device.arena.stat(&info.memory_bytes, &info.memory_free_bytes);
    if (device.instance->validation()) {
        char text[sizeof info.detail];
        std::snprintf(text, sizeof text, "%.100s, validation on", info.detail);
        sdk::set_text(info.detail, text);
    }
    return {};
}

DeviceOwner::~DeviceOwner() {
    if (handle != VK_NULL_HANDLE) vkDestroyDevice(handle, nullptr);
}

Device::Device() = default;

Device::~Device() {
    if (worker != nullptr) worker->stop();
    if (handle == VK_NULL_HANDLE) return;
    // Whatever it answers, nothing runs any more: a lost device is as idle as it gets.
    (void)vkDeviceWaitIdle(handle);
    worker.reset();
    if (barrier_pool != VK_NULL_HANDLE) vkDestroyCommandPool(handle, barrier_pool, nullptr);
    if (passed != VK_NULL_HANDLE) vkDestroySemaphore(handle, passed, nullptr);
}

sdk::Status Device::submit(const VkCommandBuffer* commands, uint32_t n, uint64_t* value) noexcept {
    constexpr uint32_t kCommandsMax = StepSegment::kCommandsMax + 1;
    if (n >= kCommandsMax)
        return sdk::fail(TENON_INTERNAL, "%u command buffers are too many for a submit.", n);
    if (lost.load()) return lost_status();
    VkCommandBuffer all[kCommandsMax];
    for (uint32_t i = 0; i < n; ++i)
        all[i] = commands[i];
    all[n] = barrier;
    std::unique_lock<std::mutex> lock(submit_mutex);
    const uint64_t next = submitted + 1;
    VkTimelineSemaphoreSubmitInfo timeline{VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO};
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &next;
    VkSubmitInfo info{VK_STRUCTURE_TYPE_SUBMIT_INFO};
    info.pNext = &timeline;
    info.commandBufferCount = n + 1;
    info.pCommandBuffers = all;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &passed;
    const VkResult result = vkQueueSubmit(vk_queue, 1, &info, VK_NULL_HANDLE);
    if (result == VK_ERROR_DEVICE_LOST) {
        lock.unlock();
        lose("vkQueueSubmit");
    }
    TENON_SDK_CHECK(check_result(result, "vkQueueSubmit"));
    submitted = next;
    *value = next;
    return {};
}

sdk::Status Device::wait(uint64_t value) noexcept {
    constexpr uint64_t kLookNs = 1000000000;  // how often a waiting thread sees that others lost it
    VkSemaphoreWaitInfo info{VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO};
    info.semaphoreCount = 1;
    info.pSemaphores = &passed;
    info.pValues = &value;
    for (;;) {
        const VkResult result = vkWaitSemaphores(handle, &info, kLookNs);
        if (result == VK_SUCCESS) return {};
        if (result == VK_TIMEOUT && !lost.load()) continue;
        // The caller gives memory and commands away now: nothing may still run on them.
        {
            const std::lock_guard<std::mutex> lock(submit_mutex);
            const VkResult idle = vkQueueWaitIdle(vk_queue);
            if (result != VK_ERROR_DEVICE_LOST && idle == VK_SUCCESS && !lost.load()) return {};
        }
        lose("vkWaitSemaphores");
        return result == VK_TIMEOUT ? lost_status() : check_result(result, "vkWaitSemaphores");
    }
}

void Device::lose(const char* call) noexcept {
    {
        const std::lock_guard<std::mutex> lock(mutex);
        if (!lost.exchange(true)) lost_by.store(call);
    }
    changed.notify_all();
}

sdk::Status Device::lost_status() const noexcept {
    const char* call = lost_by.load();
    return sdk::fail(TENON_DEVICE_LOST, "The Vulkan device is lost since %s returned %s.",
                     call == nullptr ? "a call" : call, result_name(VK_ERROR_DEVICE_LOST));
}

sdk::Status Device::run_aside(void (*record)(VkCommandBuffer, void*), void* argument) noexcept {
    struct Pool {
        VkDevice device;
        VkCommandPool handle = VK_NULL_HANDLE;
        ~Pool() {
            if (handle != VK_NULL_HANDLE) vkDestroyCommandPool(device, handle, nullptr);
        }
    } pool{handle};
    VkCommandPoolCreateInfo info{VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO};
    info.flags = VK_COMMAND_POOL_CREATE_TRANSIENT_BIT;
    info.queueFamilyIndex = features.queue_family;
    TENON_VK_CHECK(vkCreateCommandPool, handle, &info, nullptr, &pool.handle);
    VkCommandBufferAllocateInfo allocate{VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO};
    allocate.commandPool = pool.handle;
    allocate.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    allocate.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    TENON_VK_CHECK(vkAllocateCommandBuffers, handle, &allocate, &commands);
    VkCommandBufferBeginInfo begin{VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    TENON_VK_CHECK(vkBeginCommandBuffer, commands, &begin);
    record(commands, argument);
    TENON_VK_CHECK(vkEndCommandBuffer, commands);
    uint64_t value = 0;
    TENON_SDK_CHECK(submit(&commands, 1, &value));
    return wait(value);
}

sdk::Status Device::zero(const Memory& memory) noexcept {
    if (memory.mapped() != nullptr) {
        std::memset(memory.mapped(), 0, memory.bytes());
        return {};
    }
    return run_aside(
        [](VkCommandBuffer commands, void* argument) {
            const auto& what = *static_cast<const Memory*>(argument);
            vkCmdFillBuffer(commands, what.buffer(), what.offset(), what.bytes(), 0);
        },
        const_cast<Memory*>(&memory));
}

}  // namespace tenon::vulkan
