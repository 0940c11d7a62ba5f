#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {

sdk::Status Impl::timeline_create(Device& device, uint64_t value,
                                  std::unique_ptr<Timeline>& timeline) {
    timeline = std::make_unique<Timeline>();
    timeline->device = &device;
    timeline->value = value;
    return {};
}

sdk::Status Impl::timeline_query(Timeline& timeline, uint64_t& value) {
    Device& device = *timeline.device;
    const std::lock_guard<std::mutex> lock(device.mutex);
    value = timeline.value;
    for (const Queue* queue : device.queues) {
        if (queue->count != 0) device.start_driver();
    }
    return timeline.failure;
}

sdk::Status Impl::timeline_wait(Timeline& timeline, uint64_t value, uint64_t timeout_ns) {
    Device& device = *timeline.device;
    std::unique_lock<std::mutex> lock(device.mutex);
    sdk::Status status =
        timeline.wait(lock, device.changed, value, timeout_ns,
                      [&](std::unique_lock<std::mutex>& held) { return device.run_one(held); });
    // Work that this thread did not get to must not wait for the next call.
    if (status.code() == TENON_TIMEOUT) device.start_driver();
    return status;
}

sdk::Status Impl::timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    if (timeline.notify(value, cookie)) timeline.device->start_driver();
    return {};
}

sdk::Status Impl::timeline_signal(Timeline& timeline, uint64_t value, int32_t status) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    TENON_SDK_CHECK(timeline.signal(value, status));
    timeline.device->changed.notify_all();
    return {};
}

}  // namespace tenon::cpu
