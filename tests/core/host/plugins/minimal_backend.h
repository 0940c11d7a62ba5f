// A backend that has every slot and offers no device: what the test plugins are made from.
#pragma once

#include <memory>

#include <tenon/plugin.hpp>

namespace minimal {

namespace sdk = tenon::sdk;

struct Handle {};

inline sdk::Status no() { return sdk::fail(TENON_UNSUPPORTED, "This backend has no device."); }

struct Impl {
    using Device = Handle;
    using Buffer = Handle;
    using Queue = Handle;
    using Timeline = Handle;
    using Weights = Handle;
    using KvPool = Handle;
    using Exec = Handle;

    static sdk::Status enumerate(sdk::DeviceList&) { return {}; }
    static sdk::Status device_open(const uint8_t*, sdk::Span<const tenon_option>,
                                   std::unique_ptr<Handle>&) {
        return no();
    }
    static sdk::Status device_stat(Handle&, tenon_device_info&) { return no(); }
    static const void* device_ext(Handle&, const char*) noexcept { return nullptr; }
    static sdk::Status buffer_alloc(Handle&, const tenon_buffer_desc&, std::unique_ptr<Handle>&) {
        return no();
    }
    static sdk::Status queue_open(Handle&, uint32_t, std::unique_ptr<Handle>&) { return no(); }
    static sdk::Status timeline_create(Handle&, uint64_t, std::unique_ptr<Handle>&) { return no(); }
    static sdk::Status timeline_query(Handle&, uint64_t&) { return no(); }
    static sdk::Status timeline_wait(Handle&, uint64_t, uint64_t) { return no(); }
    static sdk::Status timeline_notify(Handle&, uint64_t, uint64_t) { return no(); }
    static sdk::Status timeline_signal(Handle&, uint64_t, int32_t) { return no(); }
    static sdk::Status copy(Handle&, sdk::Span<const tenon_copy>, const tenon_sync&) {
        return no();
    }
    static sdk::Status weights_begin(Handle&, uint32_t, uint64_t, std::unique_ptr<Handle>&) {
        return no();
    }
    static sdk::Status weights_put(Handle&, const tenon_weight&, uint32_t&) { return no(); }
    static sdk::Status weights_finish(Handle&, tenon_weights_info&) { return no(); }
    static sdk::Status weights_save(Handle&, void*, uint64_t&) { return no(); }
    static sdk::Status weights_restore(Handle&, const void*, uint64_t) { return no(); }
    static sdk::Status kv_query(Handle&, const tenon_kv_desc&, tenon_kv_info&) { return no(); }
    static sdk::Status kv_create(Handle&, const tenon_kv_desc&, std::unique_ptr<Handle>&) {
        return no();
    }
    static sdk::Status kv_move(Handle&, sdk::Span<const tenon_kv_move>, const tenon_sync&) {
        return no();
    }
    static sdk::Status query(Handle&, const tenon_program&, uint32_t, sdk::Strided<tenon_verdict>) {
        return no();
    }
    static sdk::Status prepare(Handle&, const tenon_program&, const tenon_prepare&,
                               std::unique_ptr<Handle>&, tenon_exec_info&) {
        return no();
    }
    static sdk::Status exec_profile(Handle&, sdk::Strided<tenon_node_time>, uint32_t&) {
        return no();
    }
    static sdk::Status submit(Handle&, Handle&, const tenon_bind&, const tenon_sync&) {
        return no();
    }
};

}  // namespace minimal
