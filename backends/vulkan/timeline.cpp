#include <chrono>

#include "backends/vulkan/queue.h"

namespace tenon::vulkan {

void Timeline::raise(uint64_t to) noexcept {
    if (!failure.ok() || to <= value) return;
    value = to;
    tell();
}

void Timeline::fail(const sdk::Status& status) noexcept {
    if (!failure.ok()) return;
    failure = status;
    tell();
}

void Timeline::tell() noexcept {
    for (size_t i = 0; i < notices.size();) {
        if (failure.ok() && notices[i].value > value) {
            ++i;
            continue;
        }
        const uint64_t cookie = notices[i].cookie;
        const int32_t status = notices[i].value <= value ? int32_t{TENON_OK} : failure.code();
        notices[i] = notices.back();
        notices.pop_back();
        sdk::host()->notify(sdk::host()->ctx, cookie, status);
    }
}

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
    Device& device = *timeline.device;
    std::unique_lock<std::mutex> lock(device.mutex);
    // A time past a year is no limit: it would overflow the clock.
    constexpr uint64_t kForever = uint64_t{365} * 24 * 3600 * 1000000000;
    const bool forever = timeout_ns >= kForever;
    const auto limit = std::chrono::steady_clock::now() +
                       std::chrono::nanoseconds(static_cast<int64_t>(forever ? 0 : timeout_ns));
    for (;;) {
        if (timeline.value >= value) return {};
        if (!timeline.failure.ok()) return timeline.failure;
        if (!forever && std::chrono::steady_clock::now() >= limit) {
            return sdk::fail(TENON_TIMEOUT, "The timeline is at %llu, %llu was waited for.",
                             static_cast<unsigned long long>(timeline.value),
                             static_cast<unsigned long long>(value));
        }
        if (forever) {
            device.changed.wait(lock);
        } else {
            device.changed.wait_until(lock, limit);
        }
    }
}

sdk::Status Impl::timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    if (timeline.value >= value || !timeline.failure.ok()) {
        const int32_t status = timeline.value >= value ? int32_t{TENON_OK} : timeline.failure.code();
        sdk::host()->notify(sdk::host()->ctx, cookie, status);
        return {};
    }
    timeline.notices.push_back({value, cookie});
    return {};
}

sdk::Status Impl::timeline_signal(Timeline& timeline, uint64_t value, int32_t status) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    if (status != TENON_OK) {
        timeline.fail(sdk::fail(static_cast<tenon_status>(status),
                                "The host failed the timeline with code %d.", status));
    } else if (value < timeline.value) {
        return sdk::fail(TENON_INVALID, "The timeline is at %llu and cannot go back to %llu.",
                         static_cast<unsigned long long>(timeline.value),
                         static_cast<unsigned long long>(value));
    } else {
        timeline.raise(value);
    }
    timeline.device->changed.notify_all();
    return {};
}

} // namespace tenon::vulkan
