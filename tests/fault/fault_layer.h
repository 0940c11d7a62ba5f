// A Vulkan layer that makes calls fail when a test asks, and counts what passes through it.
//
// In one process with the test: the functions below, found by dlsym in the file that the loader
// opens. In another process: FAULT_LAYER_TRIGGER=PATH in its environment. While a file PATH exists,
// the next vkQueueSubmit removes it and loses the device.
#pragma once

#include <cstdint>

namespace tenon::fault {

enum class Call : uint32_t {
    kNone,
    kAllocate,  // vkAllocateMemory: VK_ERROR_OUT_OF_DEVICE_MEMORY
    kHost,      // vkAllocateMemory: VK_ERROR_OUT_OF_HOST_MEMORY
    kSubmit,    // vkQueueSubmit, vkQueueSubmit2: VK_ERROR_DEVICE_LOST
    kWait,      // vkWaitSemaphores: VK_ERROR_DEVICE_LOST
};

// Since arm().
struct Counts {
    uint64_t allocations, submits, waits;
    uint64_t injected;  // calls that were made to fail
    // Pipeline caches made out of bytes, and those whose bytes the driver never gave.
    uint64_t caches_given, caches_strange;
    // Alive now.
    int64_t memories, devices, instances;
};

// The `at`th call from now (1: the next) fails, and with `forever` every later one of its kind too.
// A lost device stays lost: each later call on it that can say so does. kNone disarms.
using ArmFn = void (*)(Call call, uint64_t at, bool forever);
using CountsFn = Counts (*)();

// What the driver gives of a pipeline cache is longer by so many bytes, a stand-in for a driver with
// much to keep; they are checked, and cut off, when it gets them back.
inline constexpr uint64_t kCacheBytes = 48 * 1024;

inline constexpr char kArmName[] = "tenon_fault_arm";
inline constexpr char kCountsName[] = "tenon_fault_counts";

}  // namespace tenon::fault
