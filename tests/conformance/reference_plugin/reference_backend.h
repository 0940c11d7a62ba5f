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

    TENON_BACKEND_FUNCTIONS;
};

using Handles = sdk::Backend<Impl>;

// Queues work and runs what is ready.
sdk::Status enqueue(Queue& queue, const tenon_sync& sync, std::function<int32_t()> run);

// An error of the core as a status of the ABI; the numbers are the same.
sdk::Status to_sdk(const Error& error);

}  // namespace tenon::reference_backend
