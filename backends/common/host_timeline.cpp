#include "backends/common/host_timeline.h"

namespace tenon::common {

void HostTimeline::raise(uint64_t to) noexcept {
    if (!failure.ok() || to <= value) return;
    value = to;
    tell();
}

void HostTimeline::fail(const sdk::Status& status) noexcept {
    if (!failure.ok()) return;
    failure = status;
    tell();
}

void HostTimeline::tell() noexcept {
    for (size_t i = 0; i < notices.size();) {
        if (!over(notices[i].value)) {
            ++i;
            continue;
        }
        const uint64_t cookie = notices[i].cookie;
        const int32_t status = reached(notices[i].value) ? int32_t{TENON_OK} : failure.code();
        notices[i] = notices.back();
        notices.pop_back();
        sdk::host()->notify(sdk::host()->ctx, cookie, status);
    }
}

bool HostTimeline::notify(uint64_t to, uint64_t cookie) {
    if (!over(to)) {
        notices.push_back({to, cookie});
        return true;
    }
    const int32_t status = reached(to) ? int32_t{TENON_OK} : failure.code();
    sdk::host()->notify(sdk::host()->ctx, cookie, status);
    return false;
}

sdk::Status HostTimeline::signal(uint64_t to, int32_t status) noexcept {
    if (status != TENON_OK) {
        fail(sdk::fail(static_cast<tenon_status>(status),
                       "The host failed the timeline with code %d.", status));
        return {};
    }
    if (to < value) {
        return sdk::fail(TENON_INVALID, "The timeline is at %llu and cannot go back to %llu.",
                         static_cast<unsigned long long>(value),
                         static_cast<unsigned long long>(to));
    }
    raise(to);
    return {};
}

sdk::Status HostTimeline::late(uint64_t to) const noexcept {
    return sdk::fail(TENON_TIMEOUT, "The timeline is at %llu, %llu was waited for.",
                     static_cast<unsigned long long>(value), static_cast<unsigned long long>(to));
}

}  // namespace tenon::common
