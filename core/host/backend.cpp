#include "core/host/backend.h"

#include <cstring>

#include "core/host/status.h"

namespace tenon::host {
namespace {

// Devices that one plugin may list.
constexpr uint32_t kDevicesMax = 256;

// Runs one slot and turns its code into a Status.
template <class Call>
Status checked(const char* name, Call&& call) {
    tenon_error error = make_abi_error();
    const int32_t code = call(&error);
    if (code == TENON_OK) return {};
    return error_from_abi(code, error, name);
}

// A slot that said OK without handing out what it was asked for.
Error nothing_made(const char* name) {
    return Error{Code::kInternal, std::string(name) + " returned OK and a null handle."};
}

tenon_sync make_sync(const Sync& sync) noexcept {
    tenon_sync s{};
    s.size = sizeof s;
    s.n_waits = static_cast<uint32_t>(sync.waits.size());
    s.n_signals = static_cast<uint32_t>(sync.signals.size());
    s.waits = sync.waits.data();
    s.signals = sync.signals.data();
    return s;
}

tenon_copy make_copy(uint64_t dst_offset, uint64_t src_offset, uint64_t bytes) noexcept {
    tenon_copy copy{};
    copy.dst_offset = dst_offset;
    copy.src_offset = src_offset;
    copy.row_bytes = bytes;
    copy.rows = 1;
    copy.dst_pitch = bytes;
    copy.src_pitch = bytes;
    return copy;
}

tenon_str str(const std::string& text) noexcept { return {text.data(), text.size()}; }

}  // namespace

tenon_copy copy_in(const Buffer& dst, uint64_t dst_offset, const void* src,
                   uint64_t bytes) noexcept {
    tenon_copy copy = make_copy(dst_offset, 0, bytes);
    copy.dst = dst.handle();
    copy.host_src = src;
    return copy;
}

tenon_copy copy_out(void* dst, const Buffer& src, uint64_t src_offset, uint64_t bytes) noexcept {
    tenon_copy copy = make_copy(0, src_offset, bytes);
    copy.host_dst = dst;
    copy.src = src.handle();
    return copy;
}

tenon_copy copy_within(const Buffer& dst, uint64_t dst_offset, const Buffer& src,
                       uint64_t src_offset, uint64_t bytes) noexcept {
    tenon_copy copy = make_copy(dst_offset, src_offset, bytes);
    copy.dst = dst.handle();
    copy.src = src.handle();
    return copy;
}

Result<uint64_t> Timeline::query() const {
    uint64_t value = 0;
    TENON_CHECK(checked("timeline_query", [&](tenon_error* err) {
        return table()->timeline_query(handle(), &value, err);
    }));
    return value;
}

Status Timeline::wait(uint64_t value, uint64_t timeout_ns) const {
    return checked("timeline_wait", [&](tenon_error* err) {
        return table()->timeline_wait(handle(), value, timeout_ns, err);
    });
}

Status Timeline::notify(uint64_t value, uint64_t cookie) const {
    return checked("timeline_notify", [&](tenon_error* err) {
        return table()->timeline_notify(handle(), value, cookie, err);
    });
}

Status Timeline::signal(uint64_t value, Code code) const {
    const int32_t status = code > Code::kInternal ? TENON_INTERNAL : static_cast<int32_t>(code);
    return checked("timeline_signal", [&](tenon_error* err) {
        return table()->timeline_signal(handle(), value, status, err);
    });
}

Result<uint32_t> WeightSet::put(tenon_weight weight) const {
    weight.size = sizeof weight;
    uint32_t entry = TENON_NONE;
    TENON_CHECK(checked("weights_put", [&](tenon_error* err) {
        return table()->weights_put(handle(), &weight, &entry, err);
    }));
    return entry;
}

Result<tenon_weights_info> WeightSet::finish() const {
    tenon_weights_info info{};
    info.size = sizeof info;
    TENON_CHECK(checked("weights_finish", [&](tenon_error* err) {
        return table()->weights_finish(handle(), &info, err);
    }));
    return info;
}

Result<std::vector<std::byte>> WeightSet::save() const {
    uint64_t bytes = 0;
    TENON_CHECK(checked("weights_save", [&](tenon_error* err) {
        return table()->weights_save(handle(), nullptr, &bytes, err);
    }));
    std::vector<std::byte> blob(bytes);
    TENON_CHECK(checked("weights_save", [&](tenon_error* err) {
        return table()->weights_save(handle(), blob.data(), &bytes, err);
    }));
    if (bytes > blob.size()) {
        return Error{Code::kInternal, "weights_save wrote more bytes than it had announced."};
    }
    blob.resize(bytes);
    return blob;
}

Status WeightSet::restore(std::span<const std::byte> blob) const {
    return checked("weights_restore", [&](tenon_error* err) {
        return table()->weights_restore(handle(), blob.data(), blob.size(), err);
    });
}

Result<std::vector<tenon_node_time>> Exec::profile() const {
    uint32_t count = 0;
    TENON_CHECK(checked("exec_profile", [&](tenon_error* err) {
        return table()->exec_profile(handle(), nullptr, sizeof(tenon_node_time), &count, err);
    }));
    std::vector<tenon_node_time> times(count);
    TENON_CHECK(checked("exec_profile", [&](tenon_error* err) {
        return table()->exec_profile(handle(), times.data(), sizeof(tenon_node_time), &count, err);
    }));
    if (count < times.size()) times.resize(count);
    return times;
}

Status Queue::copy(std::span<const tenon_copy> copies, const Sync& sync) const {
    const tenon_sync s = make_sync(sync);
    return checked("copy", [&](tenon_error* err) {
        return table()->copy(handle(), copies.data(), static_cast<uint32_t>(copies.size()), &s,
                             err);
    });
}

Status Queue::kv_move(std::span<const tenon_kv_move> moves, const Sync& sync) const {
    const tenon_sync s = make_sync(sync);
    return checked("kv_move", [&](tenon_error* err) {
        return table()->kv_move(handle(), moves.data(), static_cast<uint32_t>(moves.size()), &s,
                                err);
    });
}

Status Queue::submit(const Exec& exec, tenon_bind bind, const Sync& sync) const {
    bind.size = sizeof bind;
    const tenon_sync s = make_sync(sync);
    return checked("submit", [&](tenon_error* err) {
        return table()->submit(handle(), exec.handle(), &bind, &s, err);
    });
}

Result<tenon_device_info> Device::stat() const {
    tenon_device_info info{};
    info.size = sizeof info;
    TENON_CHECK(checked("device_stat", [&](tenon_error* err) {
        return table()->device_stat(handle(), &info, err);
    }));
    return info;
}

const void* Device::find_extension(const char* id) const noexcept {
    return table()->device_ext(handle(), id);
}

Result<Buffer> Device::buffer(uint64_t bytes, uint32_t usage, uint64_t align) const {
    tenon_buffer_desc desc{};
    desc.size = sizeof desc;
    desc.usage = usage;
    desc.bytes = bytes;
    desc.align = align;
    tenon_buffer* made = nullptr;
    TENON_CHECK(checked("buffer_alloc", [&](tenon_error* err) {
        return table()->buffer_alloc(handle(), &desc, &made, err);
    }));
    if (made == nullptr) return nothing_made("buffer_alloc");
    return Buffer(table(), made, bytes);
}

Result<Queue> Device::queue(uint32_t kind) const {
    tenon_queue* made = nullptr;
    TENON_CHECK(checked("queue_open", [&](tenon_error* err) {
        return table()->queue_open(handle(), kind, &made, err);
    }));
    if (made == nullptr) return nothing_made("queue_open");
    return Queue(table(), made);
}

Result<Timeline> Device::timeline(uint64_t value) const {
    tenon_timeline* made = nullptr;
    TENON_CHECK(checked("timeline_create", [&](tenon_error* err) {
        return table()->timeline_create(handle(), value, &made, err);
    }));
    if (made == nullptr) return nothing_made("timeline_create");
    return Timeline(table(), made);
}

Result<WeightSet> Device::weights(uint32_t n_entries, uint64_t stored_bytes) const {
    tenon_weights* made = nullptr;
    TENON_CHECK(checked("weights_begin", [&](tenon_error* err) {
        return table()->weights_begin(handle(), n_entries, stored_bytes, &made, err);
    }));
    if (made == nullptr) return nothing_made("weights_begin");
    return WeightSet(table(), made);
}

Result<tenon_kv_info> Device::kv_query(tenon_kv_desc desc) const {
    desc.size = sizeof desc;
    tenon_kv_info info{};
    info.size = sizeof info;
    TENON_CHECK(checked("kv_query", [&](tenon_error* err) {
        return table()->kv_query(handle(), &desc, &info, err);
    }));
    return info;
}

Result<KvPool> Device::kv_pool(tenon_kv_desc desc) const {
    desc.size = sizeof desc;
    tenon_kv_pool* made = nullptr;
    TENON_CHECK(checked("kv_create", [&](tenon_error* err) {
        return table()->kv_create(handle(), &desc, &made, err);
    }));
    if (made == nullptr) return nothing_made("kv_create");
    return KvPool(table(), made);
}

Result<std::vector<tenon_verdict>> Device::query(const tenon_program& program,
                                                 uint32_t compute) const {
    tenon_verdict empty{};
    empty.size = sizeof empty;
    std::vector<tenon_verdict> verdicts(program.n_nodes, empty);
    TENON_CHECK(checked("query", [&](tenon_error* err) {
        return table()->query(handle(), &program, compute, verdicts.data(), sizeof(tenon_verdict),
                              err);
    }));
    for (tenon_verdict& verdict : verdicts)
        verdict.reason[sizeof verdict.reason - 1] = '\0';
    return verdicts;
}

Result<Exec> Device::prepare(const tenon_program& program, tenon_prepare how) const {
    how.size = sizeof how;
    tenon_exec_info info{};
    info.size = sizeof info;
    tenon_exec* made = nullptr;
    TENON_CHECK(checked("prepare", [&](tenon_error* err) {
        return table()->prepare(handle(), &program, &how, &made, &info, err);
    }));
    if (made == nullptr) return nothing_made("prepare");
    return Exec(table(), made, info);
}

Result<std::vector<tenon_device_info>> Backend::enumerate() const {
    uint32_t count = 0;
    TENON_CHECK(checked("enumerate", [&](tenon_error* err) {
        return table_->enumerate(nullptr, sizeof(tenon_device_info), &count, err);
    }));
    if (count > kDevicesMax) {
        return Error{Code::kInternal, "Backend " + id_ + " lists " + std::to_string(count) +
                                          " devices, at most 256 are legal."};
    }
    tenon_device_info empty{};
    empty.size = sizeof empty;
    std::vector<tenon_device_info> devices(count, empty);
    if (count == 0) return devices;
    TENON_CHECK(checked("enumerate", [&](tenon_error* err) {
        return table_->enumerate(devices.data(), sizeof(tenon_device_info), &count, err);
    }));
    if (count < devices.size()) devices.resize(count);
    for (tenon_device_info& device : devices) {
        device.name[sizeof device.name - 1] = '\0';
        device.detail[sizeof device.detail - 1] = '\0';
    }
    return devices;
}

Result<Device> Backend::open(const uint8_t (&uuid)[16],
                             std::span<const DeviceOption> options) const {
    std::vector<tenon_option> settings;
    settings.reserve(options.size());
    for (const DeviceOption& option : options) {
        settings.push_back({str(option.key), str(option.value)});
    }
    tenon_device* made = nullptr;
    TENON_CHECK(checked("device_open", [&](tenon_error* err) {
        return table_->device_open(uuid, settings.data(), static_cast<uint32_t>(settings.size()),
                                   &made, err);
    }));
    if (made == nullptr) return nothing_made("device_open");
    return Device(table_, made);
}

}  // namespace tenon::host
