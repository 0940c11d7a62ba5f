// Devices, buffers, queues, timelines and copies of the reference backend.
#include <chrono>
#include <cstring>

#include "tests/conformance/reference_plugin/reference_backend.h"

namespace tenon::reference_backend {
namespace {

constexpr uint8_t kUuid[16] = {'t', 'e', 'n', 'o', 'n', '-', 'r', 'e', 'f'};
constexpr uint64_t kBufferMax = uint64_t{1} << 32;

void describe(tenon_device_info& info) {
    info.kind = TENON_DEVICE_CPU;
    std::memcpy(info.uuid, kUuid, sizeof kUuid);
    sdk::set_text(info.name, "reference");
    sdk::set_text(info.detail, "the references, one thread");
    info.threads = 1;
}

sdk::Status failed(int32_t status) {
    return sdk::fail(static_cast<tenon_status>(status),
                     "Work before this point failed with code %d.", status);
}

// One end of a copy inside its buffer; null when it leaves it. Host memory has no limit to check.
uint8_t* end_of_copy(tenon_buffer* handle, const void* host, uint64_t offset, uint64_t pitch,
                     const tenon_copy& copy) {
    if (handle == nullptr) return static_cast<uint8_t*>(const_cast<void*>(host)) + offset;
    std::vector<uint8_t>& bytes = Handles::get(handle)->bytes;
    uint64_t last = 0;
    if (copy.rows == 0 || copy.row_bytes == 0) return bytes.data();
    if (__builtin_mul_overflow(copy.rows - 1, pitch, &last) ||
        __builtin_add_overflow(last, offset, &last) ||
        __builtin_add_overflow(last, copy.row_bytes, &last) || last > bytes.size()) {
        return nullptr;
    }
    return bytes.data() + offset;
}

}  // namespace

sdk::Status to_sdk(const Error& error) {
    return sdk::fail(static_cast<tenon_status>(error.code), error.message);
}

sdk::Status Impl::enumerate(sdk::DeviceList& list) {
    tenon_device_info info{};
    describe(info);
    list.add(info);
    return {};
}

sdk::Status Impl::device_open(const uint8_t* uuid, sdk::Span<const tenon_option> options,
                              std::unique_ptr<Device>& device) {
    if (std::memcmp(uuid, kUuid, sizeof kUuid) != 0) {
        return sdk::fail(TENON_INVALID, "There is no device with this uuid.");
    }
    auto made = std::make_unique<Device>();
    sdk::OptionReader reader(options);
    reader.text("fault", &made->fault);
    reader.text("without", &made->without);
    TENON_SDK_CHECK(reader.finish());
    device = std::move(made);
    return {};
}

sdk::Status Impl::device_stat(Device&, tenon_device_info& info) {
    describe(info);
    return {};
}

const void* Impl::device_ext(Device&, const char*) noexcept { return nullptr; }

sdk::Status Impl::buffer_alloc(Device&, const tenon_buffer_desc& desc,
                               std::unique_ptr<Buffer>& buffer) {
    if (desc.bytes > kBufferMax) {
        return sdk::fail(TENON_OOM_DEVICE, "A buffer of %llu bytes is too large.",
                         static_cast<unsigned long long>(desc.bytes));
    }
    buffer = std::make_unique<Buffer>();
    buffer->bytes.assign(desc.bytes, 0);
    return {};
}

sdk::Status Impl::queue_open(Device& device, uint32_t, std::unique_ptr<Queue>& queue) {
    queue = std::make_unique<Queue>();
    queue->device = &device;
    const std::lock_guard<std::mutex> lock(device.mutex);
    device.queues.push_back(queue.get());
    return {};
}

Queue::~Queue() {
    if (device == nullptr) return;
    std::unique_lock<std::mutex> lock(device->mutex);
    device->changed.wait(lock, [&] { return work.empty(); });
    std::erase(device->queues, this);
}

void Timeline::end(uint64_t to, int32_t status) {
    if (failure != TENON_OK) return;
    if (status != TENON_OK && !device->broken("poison")) {
        failure = status;
    } else {
        value = std::max(value, to);
    }
    std::vector<Notice> left;
    for (const Notice& notice : notices) {
        if (failure == TENON_OK && notice.value > value) {
            left.push_back(notice);
            continue;
        }
        sdk::host()->notify(sdk::host()->ctx, notice.cookie, failure);
        if (device->broken("notify")) sdk::host()->notify(sdk::host()->ctx, notice.cookie, failure);
    }
    notices = std::move(left);
}

void Device::pump() {
    for (bool moved = true; moved;) {
        moved = false;
        for (Queue* queue : queues) {
            while (!queue->work.empty()) {
                Work& work = queue->work.front();
                bool ready = true;
                int32_t status = TENON_OK;
                for (const tenon_point& wait : work.waits) {
                    const Timeline& timeline = *Handles::get(wait.timeline);
                    if (timeline.value >= wait.value) continue;
                    if (timeline.failure != TENON_OK) status = timeline.failure;
                    ready = false;
                }
                if (!ready && status == TENON_OK && !broken("order")) break;
                if (status == TENON_OK) status = work.run();
                for (const tenon_point& signal : work.signals) {
                    Handles::get(signal.timeline)->end(signal.value, status);
                }
                queue->work.pop_front();
                moved = true;
            }
        }
    }
    changed.notify_all();
}

sdk::Status enqueue(Queue& queue, const tenon_sync& sync, std::function<int32_t()> run) {
    Work work;
    work.waits.assign(sync.waits, sync.waits + sync.n_waits);
    work.signals.assign(sync.signals, sync.signals + sync.n_signals);
    work.run = std::move(run);
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    queue.work.push_back(std::move(work));
    queue.device->pump();
    return {};
}

sdk::Status Impl::timeline_create(Device& device, uint64_t value,
                                  std::unique_ptr<Timeline>& timeline) {
    timeline = std::make_unique<Timeline>();
    timeline->device = &device;
    timeline->value = value;
    return {};
}

sdk::Status Impl::timeline_query(Timeline& timeline, uint64_t& value) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    value = timeline.value;
    return timeline.failure == TENON_OK ? sdk::Status() : failed(timeline.failure);
}

sdk::Status Impl::timeline_wait(Timeline& timeline, uint64_t value, uint64_t timeout_ns) {
    std::unique_lock<std::mutex> lock(timeline.device->mutex);
    const auto over = [&] { return timeline.value >= value || timeline.failure != TENON_OK; };
    constexpr uint64_t kDay = uint64_t{86400} * 1000 * 1000 * 1000;
    const auto time = std::chrono::nanoseconds(static_cast<int64_t>(std::min(timeout_ns, kDay)));
    if (!timeline.device->changed.wait_for(lock, time, over)) {
        return sdk::fail(TENON_TIMEOUT, "The timeline did not reach its value in time.");
    }
    return timeline.value >= value ? sdk::Status() : failed(timeline.failure);
}

sdk::Status Impl::timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    if (timeline.value >= value || timeline.failure != TENON_OK) {
        const int32_t status = timeline.value >= value ? int32_t{TENON_OK} : timeline.failure;
        sdk::host()->notify(sdk::host()->ctx, cookie, status);
    } else {
        timeline.notices.push_back({value, cookie});
    }
    return {};
}

sdk::Status Impl::timeline_signal(Timeline& timeline, uint64_t value, int32_t status) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    timeline.end(value, status);
    timeline.device->pump();
    return {};
}

sdk::Status Impl::copy(Queue& queue, sdk::Span<const tenon_copy> copies, const tenon_sync& sync) {
    for (const tenon_copy& c : copies) {
        if (end_of_copy(c.dst, c.host_dst, c.dst_offset, c.dst_pitch, c) == nullptr ||
            end_of_copy(c.src, c.host_src, c.src_offset, c.src_pitch, c) == nullptr) {
            return sdk::fail(TENON_INVALID, "A copy leaves its buffer.");
        }
    }
    const std::vector<tenon_copy> kept(copies.begin(), copies.end());
    Device* device = queue.device;
    return enqueue(queue, sync, [kept, device] {
        for (const tenon_copy& c : kept) {
            uint8_t* dst = end_of_copy(c.dst, c.host_dst, c.dst_offset, c.dst_pitch, c);
            const uint8_t* src = end_of_copy(c.src, c.host_src, c.src_offset, c.src_pitch, c);
            for (uint64_t row = 0; row < c.rows; ++row) {
                const uint64_t pitch = device->broken("pitch") ? c.row_bytes : c.dst_pitch;
                std::memmove(dst + row * pitch, src + row * c.src_pitch, c.row_bytes);
            }
        }
        return int32_t{TENON_OK};
    });
}

}  // namespace tenon::reference_backend
