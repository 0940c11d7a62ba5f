// The Vulkan backend: the types behind the handles of the ABI and the functions behind its table.
//
// Work (copies, KV moves, steps) is put into the ring of its queue; the device's worker thread submits
// it to the one VkQueue in an order that respects all waits, its reaper thread sees it finish
// (queue.h). Timelines are objects of the host. One mutex per device guards queues and timelines and
// is never held while the driver is called.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/common/host_timeline.h"
#include "backends/common/queued_work.h"
#include "backends/vulkan/features.h"
#include "backends/vulkan/kernel_table.h"
#include "backends/vulkan/memory.h"
#include "backends/vulkan/pack.h"
#include "backends/vulkan/pipeline.h"

namespace tenon::vulkan {

namespace sdk = tenon::sdk;

struct Exec;     // exec.h
class Instance;  // instance.h
class Worker;    // queue.h
struct Queue;

// Owns a VkDevice, whose other members of Device are gone before it.
struct DeviceOwner {
    VkDevice handle = VK_NULL_HANDLE;
    DeviceOwner() = default;
    DeviceOwner(const DeviceOwner&) = delete;
    DeviceOwner& operator=(const DeviceOwner&) = delete;
    ~DeviceOwner();
    operator VkDevice() const noexcept { return handle; }
};

// Everything made from a device is freed before it.
struct Device {
    std::shared_ptr<Instance> instance;
    VkPhysicalDevice physical = VK_NULL_HANDLE;
    DeviceOwner handle;
    Features features;  // after masks
    Arena arena;
    KernelTable kernels;
    PipelineTable pipelines;

    std::mutex mutex;                 // guards queues, timelines and what the worker says it guards
    std::condition_variable changed;  // a timeline moved, work came or ended
    std::vector<Queue*> queues;       // open ones; not owned
    std::unique_ptr<Worker> worker;

    Device();
    ~Device();

    // [any thread] Submits these buffers in order, and behind them a barrier that makes all their writes
    // visible to everything later, the host included. *value is what done() then grows to. Reads of
    // memory that the host wrote before this call need no barrier.
    sdk::Status submit(const VkCommandBuffer* commands, uint32_t n, uint64_t* value) noexcept;
    // [any thread] Blocks until the device has finished a value of submit, or is lost.
    sdk::Status wait(uint64_t value) noexcept;
    // [any thread] Records with `record(commands, argument)`, submits and waits.
    sdk::Status run_aside(void (*record)(VkCommandBuffer, void*), void* argument) noexcept;
    // Zeroes memory that nothing uses yet.
    sdk::Status zero(const Memory& memory) noexcept;

    // Set for good by the first VK_ERROR_DEVICE_LOST; every later piece of work ends with it.
    std::atomic<bool> lost{false};
    std::atomic<const char*> lost_by{nullptr};  // the call that said so
    void lose(const char* call) noexcept;
    // What work behind the loss ends with.
    sdk::Status lost_status() const noexcept;

    VkQueue vk_queue = VK_NULL_HANDLE;
    std::mutex submit_mutex;  // guards vk_queue and submitted
    uint64_t submitted = 0;
    VkSemaphore passed = VK_NULL_HANDLE;  // timeline semaphore: the last finished submit
    VkCommandPool barrier_pool = VK_NULL_HANDLE;
    VkCommandBuffer barrier = VK_NULL_HANDLE;
};

// A number that no other buffer of the process has.
inline uint64_t next_buffer_id() noexcept {
    static std::atomic<uint64_t> last{0};
    return ++last;
}

struct Buffer {
    Device* device = nullptr;
    const uint64_t id = next_buffer_id();  // recordings know it by
    Memory memory;                         // at least bytes, zero behind them
    uint64_t bytes = 0;                    // as asked for; the last word may be bound whole
};

// Guarded by the device's mutex.
struct Timeline : common::HostTimeline {
    Device* device = nullptr;
    uint64_t pending = 0;  // will be reached by work that is on the VkQueue
};

// Rows [first_row, first_row + rows) of a packed weight; no plane of a slice is longer than
// Features::storage_range.
struct WeightSlice {
    uint32_t first_row = 0, rows = 0;
    Memory memory;  // all planes; empty in a measured set
    uint64_t plane_at[kPlanes] =
        {};  // bytes into memory.buffer() of lo, hi, scale; multiples of 256
    uint64_t plane_bytes[kPlanes] = {};  // 0: no such plane
};

struct WeightEntry {
    PackedLayout layout;
    uint32_t rows = 0, cols = 0;
    uint32_t uses = 0;
    std::vector<WeightSlice> slices;  // MATMUL, ROWS; in order, without gaps
    Memory plain;                     // ELEMENTWISE: rows * cols floats
};

class Uploader;  // weights.cpp: staging memory and the threads that pack into it

struct Weights {
    Device* device = nullptr;
    uint32_t n_entries_max = 0;
    uint64_t stored_bytes = 0;
    uint64_t device_bytes = 0;  // held, or measured as if
    bool finished = false;
    bool measured = false;  // some weight came without its bytes
    std::vector<WeightEntry> entries;
    std::unique_ptr<Uploader> uploader;  // from the first put with bytes to finish
    Weights();
    ~Weights();
};

// KV blocks: for each layer an array of n_blocks blocks of layer_block_bytes, as shaders/include/kv.h
// has it. All zero at first.
struct KvPool {
    Device* device = nullptr;
    tenon_kv_desc desc{};
    uint64_t layer_block_bytes = 0;  // a multiple of 4
    std::vector<Memory> layers;      // each at most Features::storage_range
};
uint32_t kv_type(uint32_t dtype) noexcept;  // a TENON_KV_* of a tenon_dtype that pools may have

constexpr uint32_t kPendingMax = 64;  // pieces of work that may wait in one queue

struct Work : common::QueuedWork {
    Exec* exec = nullptr;  // of a step
    Queue* queue = nullptr;
    sdk::Status status;      // first failure of what was submitted of it
    uint32_t in_flight = 0;  // submissions that have not ended
};

// A ring of work: first comes what is on the VkQueue, then what is not yet.
struct Queue {
    Device* device = nullptr;
    std::unique_ptr<Work[]> ring;
    uint32_t first = 0;
    uint32_t count = 0;
    uint32_t started = 0;  // of count
    ~Queue();              // waits until the ring is empty

    // With the device's mutex held: a place for new work with sync filled in; push() makes it count.
    // DEVICE_LOST when the device is.
    sdk::Status reserve(const tenon_sync& sync, Work** work);
    void push() noexcept;
};

// What the worker asks of a prepared program, defined beside struct Exec (exec.h). The functions of one
// Exec are called without the device's mutex by at most two threads at once: begin_step and
// step_segment by the worker, finish_step by the reaper. A step that begun is always finished, also
// when the device is lost, and steps of one Exec finish in the order in which they began.
struct StepRun;
struct StepSegment {
    static constexpr uint32_t kCommandsMax = 4;
    VkCommandBuffer commands[kCommandsMax];  // executable; submitted in this order, in one go
    uint32_t n_commands = 0;
    uint32_t nodes = 0;  // finished when the segment is
};
// BUSY without a run when no more steps of this program may be in flight: asked again later. The bind's
// arrays stay until finish_step.
sdk::Status begin_step(Exec& exec, const tenon_bind& bind, StepRun** run,
                       uint32_t* n_segments) noexcept;
// Segments come in order and may be left out from any on: then the step was cancelled or failed.
StepSegment step_segment(StepRun& run, uint32_t segment) noexcept;
// `complete`: all segments have run on the device; else only some or none, and what they wrote into
// host memory may be anything.
sdk::Status finish_step(StepRun& run, bool complete) noexcept;

// The functions behind the table: the contract is in tenon/sdk/backend.hpp.
struct Impl {
    using Device = vulkan::Device;
    using Buffer = vulkan::Buffer;
    using Queue = vulkan::Queue;
    using Timeline = vulkan::Timeline;
    using Weights = vulkan::Weights;
    using KvPool = vulkan::KvPool;
    using Exec = vulkan::Exec;

    TENON_BACKEND_FUNCTIONS;
};

using Handles = sdk::Backend<Impl>;

}  // namespace tenon::vulkan
