#include "backends/vulkan/vulkan_backend.h"

namespace tenon::vulkan {

sdk::Status Impl::timeline_create(Device& device, uint64_t value,
                                  std::unique_ptr<Timeline>& timeline) {
    timeline = std::make_unique<Timeline>();
    timeline->device = &device;
    timeline->value = value;
    timeline->pending = value;
    return {};
}

sdk::Status Impl::timeline_query(Timeline& timeline, uint64_t& value) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    value = timeline.value;
    return timeline.failure;
}

sdk::Status Impl::timeline_wait(Timeline& timeline, uint64_t value, uint64_t timeout_ns) {
    std::unique_lock<std::mutex> lock(timeline.device->mutex);
    return timeline.wait(lock, timeline.device->changed, value, timeout_ns);
}

sdk::Status Impl::timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    timeline.notify(value, cookie);
    return {};
}

sdk::Status Impl::timeline_signal(Timeline& timeline, uint64_t value, int32_t status) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    TENON_SDK_CHECK(timeline.signal(value, status));
    timeline.device->changed.notify_all();
    return {};
}

}  // namespace tenon::vulkan
