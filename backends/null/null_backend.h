// The null backend: host memory, real copies and timelines, programs that take no time.
//
// One lock per device orders everything. Work whose waits are reached runs on the calling thread;
// other work stays in its queue and runs on the thread that raises the last of its waits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/common/host_buffer.h"
#include "backends/common/host_timeline.h"
#include "backends/common/queued_work.h"
#include "backends/common/step_bounds.h"

namespace tenon::null_backend {

namespace sdk = tenon::sdk;

struct Queue;

struct Device {
    std::mutex mutex;                 // guards every timeline and queue of the device
    std::condition_variable changed;  // a timeline moved or a queue drained
    std::vector<Queue*> queues;       // open ones; not owned

    // Runs queued work until none is ready. Called with the mutex held, after a timeline moved.
    void pump() noexcept;
};

struct Buffer : common::HostBuffer {};

// Guarded by the device's mutex.
struct Timeline : common::HostTimeline {
    Device* device = nullptr;
};

struct Weights {
    uint32_t n_entries_max = 0;
    uint32_t n_entries = 0;
    bool finished = false;
    bool measured = false;  // some weight came without its bytes
};

// KV blocks, block-major; pages are zero and take no memory until a move writes them.
struct KvPool {
    uint8_t* memory = nullptr;  // owned mapping
    uint64_t block_bytes = 0;
    tenon_kv_desc desc{};
    ~KvPool();
};

// What is bound are the outputs; nothing else is read.
struct Exec : common::StepBounds {
    uint32_t n_nodes = 0;
    bool profile = false;

    // Zeroes every output of `bind` and counts its nodes as finished.
    sdk::Status run(const tenon_bind& bind) const noexcept;
};

constexpr uint32_t kPendingMax = 256;  // pieces of work that may wait in one queue

struct Work : common::QueuedWork {
    Exec* exec = nullptr;  // of a step
};

// A ring of waiting work.
struct Queue {
    Device* device = nullptr;
    std::unique_ptr<Work[]> ring;
    uint32_t first = 0;
    uint32_t count = 0;
    ~Queue();  // waits until the ring is empty

    // Runs `body` (Status()) now or hands out a Work to fill by `keep` (Status(Work&)). The caller
    // holds no lock.
    template <class Body, class Keep>
    sdk::Status order(const tenon_sync& sync, Body&& body, Keep&& keep);
};

sdk::Status run_moves(const tenon_kv_move* moves, uint32_t n) noexcept;

// The functions behind the table: the contract is in tenon/sdk/backend.hpp.
struct Impl {
    using Device = null_backend::Device;
    using Buffer = null_backend::Buffer;
    using Queue = null_backend::Queue;
    using Timeline = null_backend::Timeline;
    using Weights = null_backend::Weights;
    using KvPool = null_backend::KvPool;
    using Exec = null_backend::Exec;

    TENON_BACKEND_FUNCTIONS;
};

using Handles = sdk::Backend<Impl>;

template <class Body, class Keep>
sdk::Status Queue::order(const tenon_sync& sync, Body&& body, Keep&& keep) {
    TENON_SDK_CHECK(common::check_points(sync));
    const std::lock_guard<std::mutex> lock(device->mutex);
    bool ready = false;
    const sdk::Status* failed = common::failed_wait<Handles>(sync.waits, sync.n_waits, &ready);
    if (count == 0 && (ready || failed != nullptr)) {
        const sdk::Status status = failed != nullptr ? *failed : body();
        common::end_signals<Handles>(sync.signals, sync.n_signals, status);
        device->pump();
        device->changed.notify_all();
        return sdk::Status();
    }
    if (count == kPendingMax) {
        return sdk::fail(TENON_BUSY, "The queue holds %u pieces of waiting work.", count);
    }
    Work& work = ring[(first + count) % kPendingMax];
    work.take_points(sync);
    TENON_SDK_CHECK(keep(work));
    ++count;
    return sdk::Status();
}

}  // namespace tenon::null_backend
