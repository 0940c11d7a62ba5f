// The CPU backend: the types behind the handles of the ABI and the functions behind its table.
//
// Work (copies, KV moves, steps) is queued and runs in queue order on the thread that waits for a
// timeline, helped by the pool; one piece at a time runs on a device. A driver thread is started only
// when the host polls or asks for a notification, since then nobody waits. One mutex per device
// guards queues and timelines and is never held while work runs.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/common/host_buffer.h"
#include "backends/common/host_timeline.h"
#include "backends/common/queued_work.h"
#include "backends/cpu/kernel_table.h"
#include "backends/cpu/thread_pool.h"

namespace tenon::cpu {

// Bytes that may still be taken without swapping: the kernel's own estimate (MemAvailable).
uint64_t available_memory() noexcept;

namespace sdk = tenon::sdk;

struct Exec;
struct Queue;

struct Device {
    KernelTable kernels;
    std::unique_ptr<ThreadPool> pool;

    std::mutex mutex;                 // guards everything below
    std::condition_variable changed;  // a timeline moved, work came or ended
    std::vector<Queue*> queues;       // open ones; not owned
    bool running = false;             // some thread runs a piece of work, or packs weights
    bool closing = false;
    std::thread driver;

    ~Device();

    // With the mutex held: runs the first ready piece of work, the mutex released meanwhile. False
    // when none is ready or another thread is running one.
    bool run_one(std::unique_lock<std::mutex>& lock) noexcept;
    // With the mutex held: sees to it that ready work runs although nobody waits.
    void start_driver();
    // Runs a job of one phase on the pool, outside of any queue (packing weights).
    void run_aside(Job& job) noexcept;
};

struct Buffer : common::HostBuffer {};

// Guarded by the device's mutex.
struct Timeline : common::HostTimeline {
    Device* device = nullptr;
};

// One packed or plain weight. Memory belongs to the set.
struct WeightEntry {
    kernels::PackedLayout layout;
    uint32_t rows = 0, cols = 0;
    uint32_t uses = 0;
    const uint8_t* packed = nullptr;  // MATMUL, ROWS
    const float* plain = nullptr;     // ELEMENTWISE: rows * cols floats
};

// Owns anonymous memory in large pages where the system gives them, handed out piece by piece.
class WeightArena {
public:
    ~WeightArena();
    // 64-byte aligned; null when memory is out.
    uint8_t* take(uint64_t bytes, uint64_t chunk_hint) noexcept;
    uint64_t bytes_used() const noexcept { return used_; }

private:
    struct Chunk {
        uint8_t* memory;
        uint64_t bytes;
        uint64_t used;
    };
    std::vector<Chunk> chunks_;
    uint64_t used_ = 0;
};

struct Weights {
    Device* device = nullptr;
    uint32_t n_entries_max = 0;
    uint64_t stored_bytes = 0;
    bool finished = false;
    bool measured = false;  // some weight came without its bytes
    std::vector<WeightEntry> entries;
    WeightArena arena;
};

// KV blocks, [layer][block]; kernels/kv.h says what a block of a layer looks like.
struct KvPool {
    uint8_t* memory = nullptr;  // owned mapping
    uint64_t pool_bytes = 0;
    uint64_t layer_block_bytes = 0;  // one block of one layer
    tenon_kv_desc desc{};
    kernels::KvType type = kernels::KvType::kF16;
    kernels::KvGeometry geometry{};
    ~KvPool();

    uint8_t* block(uint32_t layer, uint32_t id) const noexcept {
        return memory + (uint64_t{layer} * desc.n_blocks + id) * layer_block_bytes;
    }
};

constexpr uint32_t kPendingMax = 64;  // pieces of work that may wait in one queue

struct Work : common::QueuedWork {
    Exec* exec = nullptr;  // of a step
};

// A ring of work. The first piece stays in its place while it runs.
struct Queue {
    Device* device = nullptr;
    std::unique_ptr<Work[]> ring;
    uint32_t first = 0;
    uint32_t count = 0;
    ~Queue();  // runs or waits until the ring is empty

    // With the device's mutex held: a place for new work with sync filled in; push() makes it count.
    sdk::Status reserve(const tenon_sync& sync, Work** work);
    void push() noexcept;
};

sdk::Status run_moves(const tenon_kv_move* moves, uint32_t n) noexcept;
// Runs one step on the pool of its device. The caller holds the device's turn.
sdk::Status run_step(Exec& exec, const tenon_bind& bind) noexcept;

// The functions behind the table: the contract is in tenon/sdk/backend.hpp.
struct Impl {
    using Device = cpu::Device;
    using Buffer = cpu::Buffer;
    using Queue = cpu::Queue;
    using Timeline = cpu::Timeline;
    using Weights = cpu::Weights;
    using KvPool = cpu::KvPool;
    using Exec = cpu::Exec;

    TENON_BACKEND_FUNCTIONS;
};

using Handles = sdk::Backend<Impl>;

}  // namespace tenon::cpu
