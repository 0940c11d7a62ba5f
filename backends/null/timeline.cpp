#include <chrono>

#include "null_backend.h"

namespace tenon::null_backend {

void Timeline::raise(uint64_t to) noexcept {
    if (failure != TENON_OK || to <= value) return;
    value = to;
    tell();
}

void Timeline::fail(int32_t status) noexcept {
    if (failure != TENON_OK) return;
    failure = status;
    tell();
}

void Timeline::tell() noexcept {
    for (size_t i = 0; i < notices.size();) {
        if (failure == TENON_OK && notices[i].value > value) {
            ++i;
            continue;
        }
        const uint64_t cookie = notices[i].cookie;
        notices[i] = notices.back();
        notices.pop_back();
        sdk::host()->notify(sdk::host()->ctx, cookie, failure);
    }
}

int32_t waits_state(const tenon_point* waits, uint32_t n, bool* ready) noexcept {
    *ready = true;
    for (uint32_t i = 0; i < n; ++i) {
        const Timeline& timeline = *Handles::get(waits[i].timeline);
        if (timeline.value >= waits[i].value) continue;
        *ready = false;
        if (timeline.failure != TENON_OK) return timeline.failure;
    }
    return TENON_OK;
}

void signal_all(const tenon_point* signals, uint32_t n, int32_t status) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        Timeline& timeline = *Handles::get(signals[i].timeline);
        if (status == TENON_OK) {
            timeline.raise(signals[i].value);
        } else {
            timeline.fail(status);
        }
    }
}

namespace {

sdk::Status failed(int32_t status) noexcept {
    return sdk::fail(static_cast<tenon_status>(status),
                     "Work that was to raise the timeline failed with code %d.", status);
}

} // namespace

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
    // A time past a year is no limit: it would overflow the clock.
    constexpr uint64_t kForever = uint64_t{365} * 24 * 3600 * 1000000000;
    bool reached = true;
    if (timeout_ns >= kForever) {
        timeline.device->changed.wait(lock, over);
    } else {
        reached = timeline.device->changed.wait_for(
            lock, std::chrono::nanoseconds(static_cast<int64_t>(timeout_ns)), over);
    }
    if (timeline.value >= value) return {};
    if (timeline.failure != TENON_OK) return failed(timeline.failure);
    if (reached) return sdk::fail(TENON_INTERNAL, "The timeline wait ended without a cause.");
    return sdk::fail(TENON_TIMEOUT, "The timeline is at %llu, %llu was waited for.",
                     static_cast<unsigned long long>(timeline.value),
                     static_cast<unsigned long long>(value));
}

sdk::Status Impl::timeline_notify(Timeline& timeline, uint64_t value, uint64_t cookie) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    if (timeline.value >= value || timeline.failure != TENON_OK) {
        const int32_t status = timeline.value >= value ? int32_t{TENON_OK} : timeline.failure;
        sdk::host()->notify(sdk::host()->ctx, cookie, status);
        return {};
    }
    timeline.notices.push_back({value, cookie});
    return {};
}

sdk::Status Impl::timeline_signal(Timeline& timeline, uint64_t value, int32_t status) {
    const std::lock_guard<std::mutex> lock(timeline.device->mutex);
    if (status != TENON_OK) {
        timeline.fail(status);
    } else if (value < timeline.value) {
        return sdk::fail(TENON_INVALID, "The timeline is at %llu and cannot go back to %llu.",
                         static_cast<unsigned long long>(timeline.value),
                         static_cast<unsigned long long>(value));
    } else {
        timeline.raise(value);
    }
    timeline.device->pump();
    timeline.device->changed.notify_all();
    return {};
}

} // namespace tenon::null_backend
