// A backend over the references: obviously right, slow, and able to be wrong in one way at a time.
//
// It proves the suite: without a fault everything passes, with one the suite must notice. Host
// memory, no threads; work runs under the device's lock on the thread that makes it ready.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <tenon/plugin.hpp>

#include "core/ops/interpreter.h"

namespace tenon::reference_backend {

namespace sdk = tenon::sdk;

struct Queue;

struct Device {
    std::mutex mutex;  // guards all work, timelines and queues
    std::condition_variable changed;
    std::vector<Queue*> queues;  // not owned
    std::string fault;           // what is wrong with this device, or empty
    std::string without;         // name of an op that it does not take, or empty

    bool broken(const char* how) const { return fault == how; }
    // Runs what is ready. With the mutex held.
    void pump();
};

struct Buffer {
    std::vector<uint8_t> bytes;
};

struct Timeline {
    struct Notice {
        uint64_t value;
        uint64_t cookie;
    };
    Device* device = nullptr;
    uint64_t value = 0;
    int32_t failure = TENON_OK;
    std::vector<Notice> notices;

    // With the mutex held: raises, or fails for good.
    void end(uint64_t to, int32_t status);
};

struct Work {
    std::vector<tenon_point> waits;
    std::vector<tenon_point> signals;
    std::function<int32_t()> run;
};

struct Queue {
    Device* device = nullptr;
    std::deque<Work> work;
    ~Queue();
};

struct Weights {
    uint32_t entries_max = 0;
    bool finished = false;
    bool measured = false;  // some weight came without its bytes: zeros stand for them
    std::vector<ops::StoredWeight> entries;
    std::deque<std::vector<std::byte>> bytes;
};

// Floats, each the number that the dtype asked for stores.
struct KvPool {
    tenon_kv_desc desc;
    ops::HostKv kv;
};

struct Exec {
    Device* device = nullptr;
    tenon_program program{};  // the caller's, at this plugin's size
    std::optional<ops::Interpreter> interpreter;
    std::vector<std::vector<int64_t>> buckets;
    std::vector<const tenon_value*> slots;  // value bound to each slot, or null
    bool profile = false;
    bool measured = false;  // serves exec_info alone

    // With the device's mutex held.
    int32_t run(const std::vector<Buffer*>& buffers, const std::vector<uint64_t>& offsets,
                const std::vector<int64_t>& symbols, const uint32_t* cancel, uint64_t* progress);
};

struct Impl {
    using Device = reference_backend::Device;
    using Buffer = reference_backend::Buffer;
    using Queue = reference_backend::Queue;
    using Timeline = reference_backend::Timeline;
    using Weights = reference_backend::Weights;
    using KvPool = reference_backend::KvPool;
    using Exec = reference_backend::Exec;

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

// Queues work and runs what is ready.
sdk::Status enqueue(Queue& queue, const tenon_sync& sync, std::function<int32_t()> run);

// An error of the core as a status of the ABI; the numbers are the same.
sdk::Status to_sdk(const Error& error);

}  // namespace tenon::reference_backend
