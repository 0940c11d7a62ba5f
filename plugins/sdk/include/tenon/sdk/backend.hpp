// Backend<Impl>: the table of tenon.backend/0 over plain C++.
//
// An author writes a struct Impl with the types Device, Buffer, Queue, Timeline, Weights, KvPool and
// Exec, says TENON_BACKEND_FUNCTIONS in it, and defines the functions that this declares, in any files;
// a missing one does not link. Backend<Impl>::table() is the finished table: every slot is mandatory.
// The trampolines check sizes, strides and nulls, catch everything, and own handles: a handle is freed
// by `delete`, so a type's destructor does what the ABI says of its *_free or *_close slot.
//
// Handles inside structs (tenon_copy.dst, tenon_point.timeline, tenon_bind.buffers) become Impl's
// types by Backend<Impl>::get(handle). An absent sync arrives as one without waits and signals.
#pragma once

#include <memory>

#include <tenon/sdk/options.hpp>
#include <tenon/sdk/status.hpp>
#include <tenon/sdk/structs.hpp>

namespace tenon::sdk {

// The caller's array of devices: add() fills the next place, or only counts when there is none.
class DeviceList {
public:
    DeviceList(Strided<tenon_device_info> places) noexcept : places_(places) {}
    void add(const tenon_device_info& info) noexcept {
        if (count_ < places_.count()) {
            tenon_device_info& place = places_[count_];
            place = info;
            place.size = sizeof info;
        }
        ++count_;
    }
    uint32_t count() const noexcept { return count_; }

private:
    Strided<tenon_device_info> places_;
    uint32_t count_ = 0;
};

// Copies `text` into a char array of a struct, cut, NUL-terminated.
template <size_t N>
void set_text(char (&target)[N], std::string_view text) noexcept {
    const size_t length = text.size() < N ? text.size() : N - 1;
    std::memcpy(target, text.data(), length);
    target[length] = '\0';
}

// Fills a verdict; reason is empty unless kind is TENON_VERDICT_NO.
inline void set_verdict(tenon_verdict& verdict, tenon_verdict_kind kind, uint32_t group,
                        std::string_view reason) noexcept {
    verdict.kind = kind;
    verdict.group = group;
    set_text(verdict.reason, reason);
}

// The functions behind the table, as static members of a struct that has the seven types.
#define TENON_BACKEND_FUNCTIONS                                                                    \
    using Status = ::tenon::sdk::Status;                                                           \
    static Status enumerate(::tenon::sdk::DeviceList& list);                                       \
    static Status device_open(const uint8_t* uuid, ::tenon::sdk::Span<const tenon_option> options, \
                              std::unique_ptr<Device>& device);                                    \
    static Status device_stat(Device& device, tenon_device_info& info);                            \
    static const void* device_ext(Device& device, const char* id) noexcept;                        \
    static Status buffer_alloc(Device& device, const tenon_buffer_desc& desc,                      \
                               std::unique_ptr<Buffer>& buffer);                                   \
    static Status queue_open(Device& device, uint32_t kind, std::unique_ptr<Queue>& queue);        \
    static Status timeline_create(Device& device, uint64_t value,                                  \
                                  std::unique_ptr<Timeline>& timeline);                            \
    static Status timeline_query(Timeline& timeline, uint64_t& value);                             \
    static Status timeline_wait(Timeline& timeline, uint64_t value, uint64_t timeout_ns);          \
    static Status timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie);            \
    static Status timeline_signal(Timeline& timeline, uint64_t value, int32_t status);             \
    static Status copy(Queue& queue, ::tenon::sdk::Span<const tenon_copy> copies,                  \
                       const tenon_sync& sync);                                                    \
    static Status weights_begin(Device& device, uint32_t n_entries, uint64_t bytes,                \
                                std::unique_ptr<Weights>& weights);                                \
    static Status weights_put(Weights& weights, const tenon_weight& weight, uint32_t& entry);      \
    static Status weights_finish(Weights& weights, tenon_weights_info& info);                      \
    static Status weights_save(Weights& weights, void* blob, uint64_t& bytes);                     \
    static Status weights_restore(Weights& weights, const void* blob, uint64_t bytes);             \
    static Status kv_query(Device& device, const tenon_kv_desc& desc, tenon_kv_info& info);        \
    static Status kv_create(Device& device, const tenon_kv_desc& desc,                             \
                            std::unique_ptr<KvPool>& pool);                                        \
    static Status kv_move(Queue& queue, ::tenon::sdk::Span<const tenon_kv_move> moves,             \
                          const tenon_sync& sync);                                                 \
    static Status query(Device& device, const tenon_program& program, uint32_t compute,            \
                        ::tenon::sdk::Strided<tenon_verdict> verdicts);                            \
    static Status prepare(Device& device, const tenon_program& program, const tenon_prepare& how,  \
                          std::unique_ptr<Exec>& exec, tenon_exec_info& info);                     \
    static Status exec_profile(Exec& exec, ::tenon::sdk::Strided<tenon_node_time> times,           \
                               uint32_t& count);                                                   \
    static Status submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync)

template <class Impl>
class Backend {
public:
    using Device = typename Impl::Device;
    using Buffer = typename Impl::Buffer;
    using Queue = typename Impl::Queue;
    using Timeline = typename Impl::Timeline;
    using Weights = typename Impl::Weights;
    using KvPool = typename Impl::KvPool;
    using Exec = typename Impl::Exec;

    // Impl's object behind a handle; null for null.
    static Device* get(tenon_device* handle) noexcept { return reinterpret_cast<Device*>(handle); }
    static Buffer* get(tenon_buffer* handle) noexcept { return reinterpret_cast<Buffer*>(handle); }
    static Queue* get(tenon_queue* handle) noexcept { return reinterpret_cast<Queue*>(handle); }
    static Timeline* get(tenon_timeline* handle) noexcept {
        return reinterpret_cast<Timeline*>(handle);
    }
    static Weights* get(tenon_weights* handle) noexcept {
        return reinterpret_cast<Weights*>(handle);
    }
    static KvPool* get(tenon_kv_pool* handle) noexcept { return reinterpret_cast<KvPool*>(handle); }
    static Exec* get(tenon_exec* handle) noexcept { return reinterpret_cast<Exec*>(handle); }

    static const tenon_backend_table* table() noexcept {
        static constexpr tenon_backend_table kTable = make();
        return &kTable;
    }

private:
    static constexpr tenon_sync kNoSync = {sizeof(tenon_sync), 0, 0, nullptr, nullptr};

    static Status null(const char* what) noexcept {
        return fail(TENON_INVALID, "%s is null.", what);
    }

    static Status check_sync(const tenon_sync* sync) noexcept {
        if (sync == nullptr) return Status();
        TENON_SDK_CHECK(check_size(sync, "tenon_sync"));
        if (sync->n_waits != 0 && sync->waits == nullptr) return null("tenon_sync.waits");
        if (sync->n_signals != 0 && sync->signals == nullptr) return null("tenon_sync.signals");
        return Status();
    }

    // Calls `make(std::unique_ptr<T>&)` and hands the object to the caller.
    template <class T, class Handle, class Make>
    static Status create(Handle** handle, const char* what, Make&& make) {
        if (handle == nullptr) return null(what);
        *handle = nullptr;
        std::unique_ptr<T> object;
        TENON_SDK_CHECK(make(object));
        *handle = reinterpret_cast<Handle*>(object.release());
        return Status();
    }

    // Deletes; a throwing destructor ends the process, as everywhere in C++.
    template <class Handle>
    static void destroy(Handle* handle) noexcept {
        delete get(handle);
    }

    static int32_t enumerate(tenon_device_info* devices, uint32_t stride, uint32_t* count,
                             tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (count == nullptr) return null("count");
            const Strided<tenon_device_info> places(devices, devices == nullptr ? 0 : *count,
                                                    stride);
            TENON_SDK_CHECK(places.check("devices"));
            DeviceList list(places);
            TENON_SDK_CHECK(Impl::enumerate(list));
            *count = list.count();
            return Status();
        });
    }

    static int32_t device_open(const uint8_t* uuid, const tenon_option* options, uint32_t n_options,
                               tenon_device** device, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (uuid == nullptr) return null("uuid");
            if (n_options != 0 && options == nullptr) return null("options");
            return create<Device>(device, "device", [&](std::unique_ptr<Device>& made) {
                return Impl::device_open(uuid, Span<const tenon_option>{options, n_options}, made);
            });
        });
    }

    static int32_t device_stat(tenon_device* device, tenon_device_info* info,
                               tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            TENON_SDK_CHECK(check_size(info, "tenon_device_info"));
            return Impl::device_stat(*get(device), *info);
        });
    }

    static const void* device_ext(tenon_device* device, const char* id) noexcept {
        if (device == nullptr || id == nullptr) return nullptr;
        return Impl::device_ext(*get(device), id);
    }

    static int32_t buffer_alloc(tenon_device* device, const tenon_buffer_desc* desc,
                                tenon_buffer** buffer, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            TENON_SDK_CHECK(check_size(desc, "tenon_buffer_desc"));
            if (desc->align == 0 || desc->align > 4096 || (desc->align & (desc->align - 1)) != 0) {
                return fail(TENON_INVALID,
                            "Buffer alignment is %llu, wanted a power of two up to 4096.",
                            static_cast<unsigned long long>(desc->align));
            }
            return create<Buffer>(buffer, "buffer", [&](std::unique_ptr<Buffer>& made) {
                return Impl::buffer_alloc(*get(device), *desc, made);
            });
        });
    }

    static int32_t queue_open(tenon_device* device, uint32_t kind, tenon_queue** queue,
                              tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            return create<Queue>(queue, "queue", [&](std::unique_ptr<Queue>& made) {
                return Impl::queue_open(*get(device), kind, made);
            });
        });
    }

    static int32_t timeline_create(tenon_device* device, uint64_t value, tenon_timeline** timeline,
                                   tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            return create<Timeline>(timeline, "timeline", [&](std::unique_ptr<Timeline>& made) {
                return Impl::timeline_create(*get(device), value, made);
            });
        });
    }

    static int32_t timeline_query(tenon_timeline* timeline, uint64_t* value,
                                  tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (timeline == nullptr) return null("timeline");
            if (value == nullptr) return null("value");
            return Impl::timeline_query(*get(timeline), *value);
        });
    }

    static int32_t timeline_wait(tenon_timeline* timeline, uint64_t value, uint64_t timeout_ns,
                                 tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (timeline == nullptr) return null("timeline");
            return Impl::timeline_wait(*get(timeline), value, timeout_ns);
        });
    }

    static int32_t timeline_notify(tenon_timeline* timeline, uint64_t value, uint64_t cookie,
                                   tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (timeline == nullptr) return null("timeline");
            return Impl::timeline_notify(*get(timeline), value, cookie);
        });
    }

    static int32_t timeline_signal(tenon_timeline* timeline, uint64_t value, int32_t status,
                                   tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (timeline == nullptr) return null("timeline");
            return Impl::timeline_signal(*get(timeline), value, status);
        });
    }

    static int32_t copy(tenon_queue* queue, const tenon_copy* copies, uint32_t n,
                        const tenon_sync* sync, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (queue == nullptr) return null("queue");
            if (n != 0 && copies == nullptr) return null("copies");
            TENON_SDK_CHECK(check_sync(sync));
            for (uint32_t i = 0; i < n; ++i) {
                const tenon_copy& c = copies[i];
                if ((c.dst != nullptr) == (c.host_dst != nullptr) ||
                    (c.src != nullptr) == (c.host_src != nullptr)) {
                    return fail(TENON_INVALID,
                                "Copy %u must have exactly one destination and one source.", i);
                }
            }
            return Impl::copy(*get(queue), Span<const tenon_copy>{copies, n},
                              sync == nullptr ? kNoSync : *sync);
        });
    }

    static int32_t weights_begin(tenon_device* device, uint32_t n_entries, uint64_t stored_bytes,
                                 tenon_weights** weights, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            return create<Weights>(weights, "weights", [&](std::unique_ptr<Weights>& made) {
                return Impl::weights_begin(*get(device), n_entries, stored_bytes, made);
            });
        });
    }

    static int32_t weights_put(tenon_weights* weights, const tenon_weight* weight, uint32_t* entry,
                               tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (weights == nullptr) return null("weights");
            if (entry == nullptr) return null("entry");
            TENON_SDK_CHECK(check_size(weight, "tenon_weight"));
            TENON_SDK_CHECK(check_size(weight->format, "tenon_format"));
            if (weight->n_planes == 0 || weight->n_planes > TENON_MAX_PLANES) {
                return fail(TENON_INVALID, "A weight has %u planes, wanted 1 to %d.",
                            weight->n_planes, TENON_MAX_PLANES);
            }
            return Impl::weights_put(*get(weights), *weight, *entry);
        });
    }

    static int32_t weights_finish(tenon_weights* weights, tenon_weights_info* info,
                                  tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (weights == nullptr) return null("weights");
            TENON_SDK_CHECK(check_size(info, "tenon_weights_info"));
            return Impl::weights_finish(*get(weights), *info);
        });
    }

    static int32_t weights_save(tenon_weights* weights, void* blob, uint64_t* bytes,
                                tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (weights == nullptr) return null("weights");
            if (bytes == nullptr) return null("bytes");
            return Impl::weights_save(*get(weights), blob, *bytes);
        });
    }

    static int32_t weights_restore(tenon_weights* weights, const void* blob, uint64_t bytes,
                                   tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (weights == nullptr) return null("weights");
            if (blob == nullptr) return null("blob");
            return Impl::weights_restore(*get(weights), blob, bytes);
        });
    }

    static int32_t kv_query(tenon_device* device, const tenon_kv_desc* desc, tenon_kv_info* info,
                            tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            TENON_SDK_CHECK(check_size(desc, "tenon_kv_desc"));
            TENON_SDK_CHECK(check_size(info, "tenon_kv_info"));
            return Impl::kv_query(*get(device), *desc, *info);
        });
    }

    static int32_t kv_create(tenon_device* device, const tenon_kv_desc* desc, tenon_kv_pool** pool,
                             tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            TENON_SDK_CHECK(check_size(desc, "tenon_kv_desc"));
            return create<KvPool>(pool, "pool", [&](std::unique_ptr<KvPool>& made) {
                return Impl::kv_create(*get(device), *desc, made);
            });
        });
    }

    static int32_t kv_move(tenon_queue* queue, const tenon_kv_move* moves, uint32_t n,
                           const tenon_sync* sync, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (queue == nullptr) return null("queue");
            if (n != 0 && moves == nullptr) return null("moves");
            for (uint32_t i = 0; i < n; ++i) {
                if (moves[i].dst_pool == nullptr || moves[i].src_pool == nullptr) {
                    return fail(TENON_INVALID, "Move %u has a null pool.", i);
                }
            }
            TENON_SDK_CHECK(check_sync(sync));
            return Impl::kv_move(*get(queue), Span<const tenon_kv_move>{moves, n},
                                 sync == nullptr ? kNoSync : *sync);
        });
    }

    static int32_t query(tenon_device* device, const tenon_program* program, uint32_t compute,
                         tenon_verdict* verdicts, uint32_t stride, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            TENON_SDK_CHECK(check_program(program));
            const Strided<tenon_verdict> places(verdicts, program->n_nodes, stride);
            TENON_SDK_CHECK(places.check("verdicts"));
            return Impl::query(*get(device), *program, compute, places);
        });
    }

    static int32_t prepare(tenon_device* device, const tenon_program* program,
                           const tenon_prepare* how, tenon_exec** exec, tenon_exec_info* info,
                           tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (device == nullptr) return null("device");
            TENON_SDK_CHECK(check_program(program));
            TENON_SDK_CHECK(check_size(how, "tenon_prepare"));
            if (how->n_buckets == 0 || how->buckets == nullptr)
                return null("tenon_prepare.buckets");
            TENON_SDK_CHECK(check_size(info, "tenon_exec_info"));
            return create<Exec>(exec, "exec", [&](std::unique_ptr<Exec>& made) {
                return Impl::prepare(*get(device), *program, *how, made, *info);
            });
        });
    }

    static int32_t exec_profile(tenon_exec* exec, tenon_node_time* times, uint32_t stride,
                                uint32_t* count, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (exec == nullptr) return null("exec");
            if (count == nullptr) return null("count");
            const Strided<tenon_node_time> places(times, times == nullptr ? 0 : *count, stride);
            TENON_SDK_CHECK(places.check("times"));
            return Impl::exec_profile(*get(exec), places, *count);
        });
    }

    static int32_t submit(tenon_queue* queue, tenon_exec* exec, const tenon_bind* bind,
                          const tenon_sync* sync, tenon_error* err) noexcept {
        return at_boundary(err, [&]() -> Status {
            if (queue == nullptr) return null("queue");
            if (exec == nullptr) return null("exec");
            TENON_SDK_CHECK(check_size(bind, "tenon_bind"));
            TENON_SDK_CHECK(check_sync(sync));
            return Impl::submit(*get(queue), *get(exec), *bind, sync == nullptr ? kNoSync : *sync);
        });
    }

    static constexpr tenon_backend_table make() noexcept {
        tenon_backend_table t{};
        t.size = sizeof t;
        t.enumerate = enumerate;
        t.device_open = device_open;
        t.device_close = destroy<tenon_device>;
        t.device_stat = device_stat;
        t.device_ext = device_ext;
        t.buffer_alloc = buffer_alloc;
        t.buffer_free = destroy<tenon_buffer>;
        t.queue_open = queue_open;
        t.queue_close = destroy<tenon_queue>;
        t.timeline_create = timeline_create;
        t.timeline_free = destroy<tenon_timeline>;
        t.timeline_query = timeline_query;
        t.timeline_wait = timeline_wait;
        t.timeline_notify = timeline_notify;
        t.timeline_signal = timeline_signal;
        t.copy = copy;
        t.weights_begin = weights_begin;
        t.weights_put = weights_put;
        t.weights_finish = weights_finish;
        t.weights_save = weights_save;
        t.weights_restore = weights_restore;
        t.weights_free = destroy<tenon_weights>;
        t.kv_query = kv_query;
        t.kv_create = kv_create;
        t.kv_free = destroy<tenon_kv_pool>;
        t.kv_move = kv_move;
        t.query = query;
        t.prepare = prepare;
        t.exec_free = destroy<tenon_exec>;
        t.exec_profile = exec_profile;
        t.submit = submit;
        return t;
    }
};

}  // namespace tenon::sdk
