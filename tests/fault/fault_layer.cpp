#include "tests/fault/fault_layer.h"

#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

namespace tenon::fault {
namespace {

// The next layer's functions that this one calls, by the loader's dispatch key.
struct InstanceNext {
    VkInstance handle;
    PFN_vkGetInstanceProcAddr get;
    PFN_vkDestroyInstance destroy;
};

struct DeviceNext {
    VkDevice handle;
    PFN_vkGetDeviceProcAddr get;
    PFN_vkDestroyDevice destroy;
    PFN_vkDeviceWaitIdle wait_idle;
    PFN_vkAllocateMemory allocate;
    PFN_vkFreeMemory free;
    PFN_vkQueueSubmit submit;
    PFN_vkQueueSubmit2 submit2;
    PFN_vkWaitSemaphores wait;
    PFN_vkGetSemaphoreCounterValue counter;
    PFN_vkQueueWaitIdle queue_wait_idle;
    PFN_vkCreatePipelineCache create_cache;
    PFN_vkGetPipelineCacheData cache_data;
    bool lost = false;
};

// Held while a queue is used, which a driver must not see two threads do, and from the look whether
// the device is lost until then: nothing reaches a lost device.
std::recursive_mutex g_queue_mutex;
std::mutex g_mutex;  // guards everything below; taken after the other
std::map<void*, InstanceNext> g_instances;
std::map<void*, DeviceNext> g_devices;
Call g_call = Call::kNone;
uint64_t g_left = 0;
bool g_forever = false;
Counts g_counts{};

void* key_of(const void* dispatchable) { return *static_cast<void* const*>(dispatchable); }

// Whether this call is the one that fails. Locked.
bool strikes(Call call) {
    if (g_call != call || g_left == 0) return false;
    if (--g_left > 0) return false;
    if (g_forever) g_left = 1;
    ++g_counts.injected;
    return true;
}

bool is_triggered() {
    const char* path = std::getenv("FAULT_LAYER_TRIGGER");
    return path != nullptr && ::unlink(path) == 0;
}

DeviceNext next_of(const void* dispatchable) {
    const std::lock_guard lock(g_mutex);
    return g_devices.at(key_of(dispatchable));
}

// A lost device computes nothing more: what it was given before is let end first, since the driver
// below knows of no loss and the memory it works on is about to go.
void lose(const void* dispatchable) {
    const std::lock_guard queue_lock(g_queue_mutex);
    const DeviceNext next = next_of(dispatchable);
    next.wait_idle(next.handle);
    const std::lock_guard lock(g_mutex);
    g_devices.at(key_of(dispatchable)).lost = true;
}

bool submit_fails(VkQueue queue) {
    {
        const std::lock_guard lock(g_mutex);
        ++g_counts.submits;
        if (g_devices.at(key_of(queue)).lost) return true;
        if (!strikes(Call::kSubmit) && !is_triggered()) return false;
    }
    lose(queue);
    return true;
}

VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue queue, uint32_t n, const VkSubmitInfo* submits,
                                            VkFence fence) {
    const std::lock_guard lock(g_queue_mutex);
    if (submit_fails(queue)) return VK_ERROR_DEVICE_LOST;
    return next_of(queue).submit(queue, n, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL queue_submit2(VkQueue queue, uint32_t n,
                                             const VkSubmitInfo2* submits, VkFence fence) {
    const std::lock_guard lock(g_queue_mutex);
    if (submit_fails(queue)) return VK_ERROR_DEVICE_LOST;
    return next_of(queue).submit2(queue, n, submits, fence);
}

VKAPI_ATTR VkResult VKAPI_CALL queue_wait_idle(VkQueue queue) {
    const std::lock_guard lock(g_queue_mutex);
    const DeviceNext next = next_of(queue);
    return next.lost ? VK_ERROR_DEVICE_LOST : next.queue_wait_idle(queue);
}

VKAPI_ATTR VkResult VKAPI_CALL device_wait_idle(VkDevice device) {
    const std::lock_guard lock(g_queue_mutex);
    const DeviceNext next = next_of(device);
    return next.lost ? VK_ERROR_DEVICE_LOST : next.wait_idle(device);
}

VKAPI_ATTR VkResult VKAPI_CALL wait_semaphores(VkDevice device, const VkSemaphoreWaitInfo* info,
                                               uint64_t timeout) {
    bool strike = false;
    {
        const std::lock_guard lock(g_mutex);
        ++g_counts.waits;
        if (g_devices.at(key_of(device)).lost) return VK_ERROR_DEVICE_LOST;
        strike = strikes(Call::kWait);
    }
    if (strike) {
        lose(device);
        return VK_ERROR_DEVICE_LOST;
    }
    return next_of(device).wait(device, info, timeout);
}

VKAPI_ATTR VkResult VKAPI_CALL get_counter(VkDevice device, VkSemaphore semaphore,
                                           uint64_t* value) {
    const DeviceNext next = next_of(device);
    return next.lost ? VK_ERROR_DEVICE_LOST : next.counter(device, semaphore, value);
}

VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice device, const VkMemoryAllocateInfo* info,
                                               const VkAllocationCallbacks* callbacks,
                                               VkDeviceMemory* memory) {
    {
        const std::lock_guard lock(g_mutex);
        ++g_counts.allocations;
        if (strikes(Call::kAllocate)) return VK_ERROR_OUT_OF_DEVICE_MEMORY;
        if (strikes(Call::kHost)) return VK_ERROR_OUT_OF_HOST_MEMORY;
    }
    const VkResult result = next_of(device).allocate(device, info, callbacks, memory);
    const std::lock_guard lock(g_mutex);
    if (result == VK_SUCCESS) ++g_counts.memories;
    return result;
}

VKAPI_ATTR void VKAPI_CALL free_memory(VkDevice device, VkDeviceMemory memory,
                                       const VkAllocationCallbacks* callbacks) {
    next_of(device).free(device, memory, callbacks);
    const std::lock_guard lock(g_mutex);
    if (memory != VK_NULL_HANDLE) --g_counts.memories;
}

uint8_t cache_byte(uint64_t at) { return static_cast<uint8_t>(at * 167 >> 3); }

VKAPI_ATTR VkResult VKAPI_CALL create_cache(VkDevice device, const VkPipelineCacheCreateInfo* info,
                                            const VkAllocationCallbacks* callbacks,
                                            VkPipelineCache* cache) {
    VkPipelineCacheCreateInfo plain_info = *info;
    if (info->initialDataSize != 0) {
        bool own = info->initialDataSize > kCacheBytes;
        plain_info.initialDataSize = own ? info->initialDataSize - kCacheBytes : 0;
        const auto* bytes = static_cast<const uint8_t*>(info->pInitialData);
        for (uint64_t i = 0; own && i < kCacheBytes; ++i)
            own = bytes[plain_info.initialDataSize + i] == cache_byte(i);
        const std::lock_guard lock(g_mutex);
        ++(own ? g_counts.caches_given : g_counts.caches_strange);
    }
    return next_of(device).create_cache(device, &plain_info, callbacks, cache);
}

VKAPI_ATTR VkResult VKAPI_CALL cache_data(VkDevice device, VkPipelineCache cache, size_t* count,
                                          void* data) {
    const DeviceNext next = next_of(device);
    if (data != nullptr && *count <= kCacheBytes) return VK_INCOMPLETE;
    if (data != nullptr) *count -= kCacheBytes;
    const VkResult result = next.cache_data(device, cache, count, data);
    if (result != VK_SUCCESS) return result;
    auto* bytes = static_cast<uint8_t*>(data);
    for (uint64_t i = 0; data != nullptr && i < kCacheBytes; ++i)
        bytes[*count + i] = cache_byte(i);
    *count += kCacheBytes;
    return VK_SUCCESS;
}

// The link of the loader's chain that is ours; moved on for the next layer.
template <class Link, class Info>
Link* own_link(const Info* info, VkStructureType type) {
    for (auto* at = static_cast<const VkBaseInStructure*>(info->pNext); at; at = at->pNext) {
        auto* link = reinterpret_cast<Link*>(const_cast<VkBaseInStructure*>(at));
        if (at->sType == type && link->function == VK_LAYER_LINK_INFO) return link;
    }
    return nullptr;
}

VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo* info,
                                               const VkAllocationCallbacks* callbacks,
                                               VkInstance* instance) {
    auto* link =
        own_link<VkLayerInstanceCreateInfo>(info, VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO);
    if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
    const PFN_vkGetInstanceProcAddr get = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    const auto create =
        reinterpret_cast<PFN_vkCreateInstance>(get(VK_NULL_HANDLE, "vkCreateInstance"));
    const VkResult result = create(info, callbacks, instance);
    if (result != VK_SUCCESS) return result;
    const std::lock_guard lock(g_mutex);
    g_instances[key_of(*instance)] = {
        *instance, get,
        reinterpret_cast<PFN_vkDestroyInstance>(get(*instance, "vkDestroyInstance"))};
    ++g_counts.instances;
    return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL destroy_instance(VkInstance instance,
                                            const VkAllocationCallbacks* callbacks) {
    if (instance == VK_NULL_HANDLE) return;
    InstanceNext next{};
    {
        const std::lock_guard lock(g_mutex);
        next = g_instances.at(key_of(instance));
        g_instances.erase(key_of(instance));
        --g_counts.instances;
    }
    next.destroy(instance, callbacks);
}

VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                             const VkDeviceCreateInfo* info,
                                             const VkAllocationCallbacks* callbacks,
                                             VkDevice* device) {
    auto* link =
        own_link<VkLayerDeviceCreateInfo>(info, VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO);
    if (link == nullptr) return VK_ERROR_INITIALIZATION_FAILED;
    const auto get_instance = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    const auto get = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    VkInstance instance = VK_NULL_HANDLE;
    {
        const std::lock_guard lock(g_mutex);
        instance = g_instances.at(key_of(physical)).handle;
    }
    const auto create =
        reinterpret_cast<PFN_vkCreateDevice>(get_instance(instance, "vkCreateDevice"));
    const VkResult result = create(physical, info, callbacks, device);
    if (result != VK_SUCCESS) return result;
    DeviceNext next{};
    next.handle = *device;
    next.get = get;
    const auto find = [&](auto& function, const char* name) {
        function =
            reinterpret_cast<std::remove_reference_t<decltype(function)>>(get(*device, name));
    };
    find(next.destroy, "vkDestroyDevice");
    find(next.wait_idle, "vkDeviceWaitIdle");
    find(next.allocate, "vkAllocateMemory");
    find(next.free, "vkFreeMemory");
    find(next.submit, "vkQueueSubmit");
    find(next.submit2, "vkQueueSubmit2");
    find(next.wait, "vkWaitSemaphores");
    find(next.counter, "vkGetSemaphoreCounterValue");
    find(next.queue_wait_idle, "vkQueueWaitIdle");
    find(next.create_cache, "vkCreatePipelineCache");
    find(next.cache_data, "vkGetPipelineCacheData");
    const std::lock_guard lock(g_mutex);
    g_devices[key_of(*device)] = next;
    ++g_counts.devices;
    return VK_SUCCESS;
}

VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice device, const VkAllocationCallbacks* callbacks) {
    if (device == VK_NULL_HANDLE) return;
    DeviceNext next{};
    {
        const std::lock_guard lock(g_mutex);
        next = g_devices.at(key_of(device));
        g_devices.erase(key_of(device));
        --g_counts.devices;
    }
    next.destroy(device, callbacks);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc(VkInstance instance, const char* name);
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc(VkDevice device, const char* name);

struct Ours {
    const char* name;
    PFN_vkVoidFunction function;
    bool of_device;
};

template <class Function>
PFN_vkVoidFunction plain(Function* function) {
    return reinterpret_cast<PFN_vkVoidFunction>(function);
}

PFN_vkVoidFunction find_ours(const char* name, bool device_only) {
    static const Ours kOurs[] = {
        {"vkGetInstanceProcAddr", plain(get_instance_proc), false},
        {"vkCreateInstance", plain(create_instance), false},
        {"vkDestroyInstance", plain(destroy_instance), false},
        {"vkCreateDevice", plain(create_device), false},
        {"vkGetDeviceProcAddr", plain(get_device_proc), true},
        {"vkDestroyDevice", plain(destroy_device), true},
        {"vkDeviceWaitIdle", plain(device_wait_idle), true},
        {"vkAllocateMemory", plain(allocate_memory), true},
        {"vkFreeMemory", plain(free_memory), true},
        {"vkQueueSubmit", plain(queue_submit), true},
        {"vkQueueSubmit2", plain(queue_submit2), true},
        {"vkQueueSubmit2KHR", plain(queue_submit2), true},
        {"vkQueueWaitIdle", plain(queue_wait_idle), true},
        {"vkWaitSemaphores", plain(wait_semaphores), true},
        {"vkWaitSemaphoresKHR", plain(wait_semaphores), true},
        {"vkCreatePipelineCache", plain(create_cache), true},
        {"vkGetPipelineCacheData", plain(cache_data), true},
        {"vkGetSemaphoreCounterValue", plain(get_counter), true},
        {"vkGetSemaphoreCounterValueKHR", plain(get_counter), true},
    };
    for (const Ours& ours : kOurs)
        if ((ours.of_device || !device_only) && std::strcmp(ours.name, name) == 0)
            return ours.function;
    return nullptr;
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_instance_proc(VkInstance instance, const char* name) {
    if (const PFN_vkVoidFunction ours = find_ours(name, false)) return ours;
    if (instance == VK_NULL_HANDLE) return nullptr;
    PFN_vkGetInstanceProcAddr get = nullptr;
    {
        const std::lock_guard lock(g_mutex);
        get = g_instances.at(key_of(instance)).get;
    }
    return get(instance, name);
}

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL get_device_proc(VkDevice device, const char* name) {
    if (const PFN_vkVoidFunction ours = find_ours(name, true)) return ours;
    const DeviceNext next = next_of(device);
    return next.get(device, name);
}

}  // namespace
}  // namespace tenon::fault

#define FAULT_EXPORT extern "C" __attribute__((visibility("default")))

FAULT_EXPORT void tenon_fault_arm(tenon::fault::Call call, uint64_t at, bool forever) {
    using namespace tenon::fault;
    const std::lock_guard lock(g_mutex);
    g_call = call;
    g_left = at;
    g_forever = forever;
    g_counts.allocations = g_counts.submits = g_counts.waits = g_counts.injected = 0;
    g_counts.caches_given = g_counts.caches_strange = 0;
}

FAULT_EXPORT tenon::fault::Counts tenon_fault_counts() {
    const std::lock_guard lock(tenon::fault::g_mutex);
    return tenon::fault::g_counts;
}

FAULT_EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* interface) {
    interface->loaderLayerInterfaceVersion = 2;
    interface->pfnGetInstanceProcAddr = tenon::fault::get_instance_proc;
    interface->pfnGetDeviceProcAddr = tenon::fault::get_device_proc;
    interface->pfnGetPhysicalDeviceProcAddr = nullptr;
    return VK_SUCCESS;
}
