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

#include "backends/common/host_timeline.h"
#include "backends/common/step_bounds.h"

namespace tenon::null_backend {

namespace sdk = tenon::sdk;

struct Queue;

struct Device {
    std::mutex mutex;                // guards every timeline and queue of the device
    std::condition_variable changed; // a timeline moved or a queue drained
    std::vector<Queue*> queues;      // open ones; not owned

    // Runs queued work until none is ready. Called with the mutex held, after a timeline moved.
    void pump() noexcept;
};

struct Buffer {
    sdk::HostMemory memory;
    uint8_t* at(uint64_t offset) noexcept { return static_cast<uint8_t*>(memory.data()) + offset; }
};

// Guarded by the device's mutex.
struct Timeline : common::HostTimeline {
    Device* device = nullptr;
};

struct Weights {
    uint32_t n_entries_max = 0;
    uint32_t n_entries = 0;
    bool finished = false;
    bool measured = false; // some weight came without its bytes
};

// KV blocks, block-major; pages are zero and take no memory until a move writes them.
struct KvPool {
    uint8_t* memory = nullptr; // owned mapping
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

constexpr uint32_t kPointsMax = 16;   // waits or signals of one piece of work
constexpr uint32_t kPendingMax = 256; // pieces of work that may wait in one queue
constexpr uint32_t kSlotsMax = 64;    // bound buffers of a step that has to wait
constexpr uint32_t kSymbolsMax = 16;  // symbols of a step that has to wait

// One piece of work that waits. Fixed storage, so that submit allocates nothing.
struct Work {
    enum class Kind { kCopy, kMove, kStep };
    Kind kind = Kind::kCopy;
    uint32_t n_waits = 0;
    uint32_t n_signals = 0;
    tenon_point waits[kPointsMax];
    tenon_point signals[kPointsMax];
    std::vector<tenon_copy> copies;
    std::vector<tenon_kv_move> moves;
    Exec* exec = nullptr;
    tenon_bind bind{};
    tenon_buffer* buffers[kSlotsMax];
    uint64_t offsets[kSlotsMax];
    int64_t symbols[kSymbolsMax];
};

// A ring of waiting work.
struct Queue {
    Device* device = nullptr;
    std::unique_ptr<Work[]> ring;
    uint32_t first = 0;
    uint32_t count = 0;
    ~Queue(); // waits until the ring is empty

    // Runs `body` (Status()) now or hands out a Work to fill by `keep` (Status(Work&)). The caller
    // holds no lock.
    template <class Body, class Keep>
    sdk::Status order(const tenon_sync& sync, Body&& body, Keep&& keep);
};

sdk::Status run_copies(const tenon_copy* copies, uint32_t n) noexcept;
sdk::Status check_copies(const tenon_copy* copies, uint32_t n) noexcept;
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

    static sdk::Status enumerate(sdk::DeviceList& list);
    static sdk::Status device_open(const uint8_t* uuid, sdk::Span<const tenon_option> options,
                                   std::unique_ptr<Device>& device);
    static sdk::Status device_stat(Device& device, tenon_device_info& info);
    static const void* device_ext(Device& device, const char* id) noexcept;
    static sdk::Status buffer_alloc(Device& device, const tenon_buffer_desc& desc,
                                    std::unique_ptr<Buffer>& buffer);
    static sdk::Status queue_open(Device& device, uint32_t kind, std::unique_ptr<Queue>& queue);
    static sdk::Status timeline_create(Device& device, uint64_t value,
                                       std::unique_ptr<Timeline>& timeline);
    static sdk::Status timeline_query(Timeline& timeline, uint64_t& value);
    static sdk::Status timeline_wait(Timeline& timeline, uint64_t value, uint64_t timeout_ns);
    static sdk::Status timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie);
    static sdk::Status timeline_signal(Timeline& timeline, uint64_t value, int32_t status);
    static sdk::Status copy(Queue& queue, sdk::Span<const tenon_copy> copies,
                            const tenon_sync& sync);
    static sdk::Status weights_begin(Device& device, uint32_t n_entries, uint64_t bytes,
                                     std::unique_ptr<Weights>& weights);
    static sdk::Status weights_put(Weights& weights, const tenon_weight& weight, uint32_t& entry);
    static sdk::Status weights_finish(Weights& weights, tenon_weights_info& info);
    static sdk::Status weights_save(Weights& weights, void* blob, uint64_t& bytes);
    static sdk::Status weights_restore(Weights& weights, const void* blob, uint64_t bytes);
    static sdk::Status kv_query(Device& device, const tenon_kv_desc& desc, tenon_kv_info& info);
    static sdk::Status kv_create(Device& device, const tenon_kv_desc& desc,
                                 std::unique_ptr<KvPool>& pool);
    static sdk::Status kv_move(Queue& queue, sdk::Span<const tenon_kv_move> moves,
                               const tenon_sync& sync);
    static sdk::Status query(Device& device, const tenon_program& program, uint32_t compute,
                             sdk::Strided<tenon_verdict> verdicts);
    static sdk::Status prepare(Device& device, const tenon_program& program,
                               const tenon_prepare& how, std::unique_ptr<Exec>& exec,
                               tenon_exec_info& info);
    static sdk::Status exec_profile(Exec& exec, sdk::Strided<tenon_node_time> times,
                                    uint32_t& count);
    static sdk::Status submit(Queue& queue, Exec& exec, const tenon_bind& bind,
                              const tenon_sync& sync);
};

using Handles = sdk::Backend<Impl>;

template <class Body, class Keep>
sdk::Status Queue::order(const tenon_sync& sync, Body&& body, Keep&& keep) {
    if (sync.n_waits > kPointsMax || sync.n_signals > kPointsMax) {
        return sdk::fail(TENON_UNSUPPORTED,
                         "Work has %u waits and %u signals, this backend takes %u of each.",
                         sync.n_waits, sync.n_signals, kPointsMax);
    }
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
    work.n_waits = sync.n_waits;
    work.n_signals = sync.n_signals;
    for (uint32_t i = 0; i < sync.n_waits; ++i) work.waits[i] = sync.waits[i];
    for (uint32_t i = 0; i < sync.n_signals; ++i) work.signals[i] = sync.signals[i];
    TENON_SDK_CHECK(keep(work));
    ++count;
    return sdk::Status();
}

} // namespace tenon::null_backend
