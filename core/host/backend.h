// Owners over a backend plugin's table: what the engine computes with.
//
// Each class owns one handle of the plugin and frees it; all are move-only, and an owner keeps the
// table's address, which lives for the process. Free in reverse order of making: everything made from
// a Device dies before it; an Exec before its WeightSet, KvPool and program. Thread tags are the ABI's
// (generated/REFERENCE.md): queue calls serial per queue, the rest concurrent. The wrappers fill every
// `size`, so callers set only the fields they mean, and turn a plugin's tenon_error into an Error.
#pragma once

#include <tenon/abi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"

namespace tenon::host {

// Owns `Handle`, freed through slot `Free` of its table.
template <class Handle, void (*tenon_backend_table::*Free)(Handle*)>
class Owned {
public:
    Owned() = default;
    Owned(const tenon_backend_table* table, Handle* handle) noexcept
        : table_(table), handle_(handle) {}
    Owned(Owned&& other) noexcept
        : table_(other.table_), handle_(std::exchange(other.handle_, nullptr)) {}
    Owned& operator=(Owned&& other) noexcept {
        if (this != &other) {
            reset();
            table_ = other.table_;
            handle_ = std::exchange(other.handle_, nullptr);
        }
        return *this;
    }
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() { reset(); }

    // Frees now; the owner is empty afterwards.
    void reset() noexcept {
        if (handle_ != nullptr) (table_->*Free)(std::exchange(handle_, nullptr));
    }
    explicit operator bool() const noexcept { return handle_ != nullptr; }
    // Not owned by the caller; null when empty.
    Handle* handle() const noexcept { return handle_; }
    const tenon_backend_table* table() const noexcept { return table_; }

private:
    const tenon_backend_table* table_ = nullptr;
    Handle* handle_ = nullptr;
};

// What queued work waits for and raises. Points must live for the call.
struct Sync {
    std::span<const tenon_point> waits;
    std::span<const tenon_point> signals;
};

// Device memory of size_bytes(), zeroed when made.
class Buffer : public Owned<tenon_buffer, &tenon_backend_table::buffer_free> {
public:
    using Owned::Owned;
    Buffer(const tenon_backend_table* table, tenon_buffer* handle, uint64_t size_bytes) noexcept
        : Owned(table, handle), size_bytes_(size_bytes) {}
    uint64_t size_bytes() const noexcept { return size_bytes_; }

private:
    uint64_t size_bytes_ = 0;
};

// Contiguous copies, to be handed to Queue::copy. Host memory must live until the copy's signal.
tenon_copy copy_in(const Buffer& dst, uint64_t dst_offset, const void* src,
                   uint64_t bytes) noexcept;
tenon_copy copy_out(void* dst, const Buffer& src, uint64_t src_offset, uint64_t bytes) noexcept;
tenon_copy copy_within(const Buffer& dst, uint64_t dst_offset, const Buffer& src,
                       uint64_t src_offset, uint64_t bytes) noexcept;

// A counter that only grows; a failure of work that was to raise it stays with it for good.
class Timeline : public Owned<tenon_timeline, &tenon_backend_table::timeline_free> {
public:
    using Owned::Owned;
    tenon_point at(uint64_t value) const noexcept { return {handle(), value}; }
    Result<uint64_t> query() const;
    // Blocks the caller until `value` is reached. kTimeout after timeout_ns; UINT64_MAX waits forever.
    Status wait(uint64_t value, uint64_t timeout_ns = UINT64_MAX) const;
    // host.notify(cookie, status) once, from any thread: see HostTable::set_notify.
    Status notify(uint64_t value, uint64_t cookie) const;
    // Raises from the host; `code` other than kOk fails the timeline.
    Status signal(uint64_t value, Code code = Code::kOk) const;
};

// Weights of one model on one device.
class WeightSet : public Owned<tenon_weights, &tenon_backend_table::weights_free> {
public:
    using Owned::Owned;
    // The entry that values of kind WEIGHT name. One call at a time; planes are free on return. With
    // null planes the weight is measured only: finish() counts it, nothing is kept, and the set
    // serves TENON_PREPARE_MEASURE alone.
    Result<uint32_t> put(tenon_weight weight) const;
    Result<tenon_weights_info> finish() const;
    // The packed set; kUnsupported where the backend packs nothing.
    Result<std::vector<std::byte>> save() const;
    Status restore(std::span<const std::byte> blob) const;
};

// KV memory under the core's block ids.
class KvPool : public Owned<tenon_kv_pool, &tenon_backend_table::kv_free> {
public:
    using Owned::Owned;
};

// A program prepared for a device.
class Exec : public Owned<tenon_exec, &tenon_backend_table::exec_free> {
public:
    using Owned::Owned;
    Exec(const tenon_backend_table* table, tenon_exec* handle, const tenon_exec_info& info) noexcept
        : Owned(table, handle), info_(info) {}
    const tenon_exec_info& info() const noexcept { return info_; }
    // Times of the last finished submit; kUnsupported without TENON_PREPARE_PROFILE.
    Result<std::vector<tenon_node_time>> profile() const;

private:
    tenon_exec_info info_{};
};

// An order of execution. Calls are serial: one thread at a time.
class Queue : public Owned<tenon_queue, &tenon_backend_table::queue_close> {
public:
    using Owned::Owned;
    Status copy(std::span<const tenon_copy> copies, const Sync& sync) const;
    Status kv_move(std::span<const tenon_kv_move> moves, const Sync& sync) const;
    // One step. cancel, progress and buffers must live until the signal. Allocates nothing.
    Status submit(const Exec& exec, tenon_bind bind, const Sync& sync) const;
};

// One setting of a plugin, as canonical text.
struct PluginOption {
    std::string key;
    std::string value;
};
using DeviceOption = PluginOption;

// An opened device. Outlives everything made from it.
class Device : public Owned<tenon_device, &tenon_backend_table::device_close> {
public:
    using Owned::Owned;
    Result<tenon_device_info> stat() const;
    // A table of an optional interface, or null.
    const void* find_extension(const char* id) const noexcept;
    // usage: tenon_buffer_usage flags.
    Result<Buffer> buffer(uint64_t bytes, uint32_t usage, uint64_t align = 64) const;
    Result<Queue> queue(uint32_t kind = 0) const;
    Result<Timeline> timeline(uint64_t value = 0) const;
    Result<WeightSet> weights(uint32_t n_entries, uint64_t stored_bytes) const;
    Result<tenon_kv_info> kv_query(tenon_kv_desc desc) const;
    Result<KvPool> kv_pool(tenon_kv_desc desc) const;
    // One verdict for each node of the program; pure.
    Result<std::vector<tenon_verdict>> query(const tenon_program& program, uint32_t compute) const;
    // how.weights and how.kv are handle()s that outlive the exec, as does the program.
    Result<Exec> prepare(const tenon_program& program, tenon_prepare how) const;
};

// A loaded backend plugin: id, version and table. A value; the plugin is never unloaded.
class Backend {
public:
    Backend(std::string id, std::string version, const tenon_backend_table* table)
        : id_(std::move(id)), version_(std::move(version)), table_(table) {}

    const std::string& id() const noexcept { return id_; }
    const std::string& version() const noexcept { return version_; }
    const tenon_backend_table* table() const noexcept { return table_; }

    // [load] Every device of this backend; none is an empty list.
    Result<std::vector<tenon_device_info>> enumerate() const;
    // [load] uuid as in enumerate. An unknown option is kInvalid and named.
    Result<Device> open(const uint8_t (&uuid)[16],
                        std::span<const DeviceOption> options = {}) const;

private:
    std::string id_;
    std::string version_;
    const tenon_backend_table* table_;
};

}  // namespace tenon::host
