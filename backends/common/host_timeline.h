// A timeline as an object of the host: a value that only grows, or its first failure for good, and who
// asked to be told.
//
// A mutex of the backend guards it, and every function wants that mutex held. A backend's Timeline
// derives from it and adds what it needs besides, such as the device that owns mutex and condition.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <vector>

#include <tenon/plugin.hpp>

namespace tenon::common {

namespace sdk = tenon::sdk;

struct HostTimeline {
    struct Notice {
        uint64_t value;
        uint64_t cookie;
    };

    uint64_t value = 0;
    sdk::Status failure;  // first failure, for good
    std::vector<Notice> notices;

    // A value below the present one changes nothing; nothing raises a failed timeline.
    void raise(uint64_t to) noexcept;
    void fail(const sdk::Status& status) noexcept;

    bool reached(uint64_t to) const noexcept { return value >= to; }
    // Whether nothing is left to wait for: reached, or never to be.
    bool over(uint64_t to) const noexcept { return reached(to) || !failure.ok(); }

    // The slot timeline_notify. False when the host was told at once, true when it will be.
    bool notify(uint64_t to, uint64_t cookie);
    // The slot timeline_signal. The caller wakes who waits.
    sdk::Status signal(uint64_t to, int32_t status) noexcept;

    // The slot timeline_wait: OK, the timeline's failure or TIMEOUT. Before each sleep it calls
    // `run(lock)`, which may do a piece of work, the mutex released meanwhile, and says whether it did.
    template <class Run>
    sdk::Status wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                     uint64_t to, uint64_t timeout_ns, Run&& run) const;
    // The same for backends whose work runs elsewhere.
    sdk::Status wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                     uint64_t to, uint64_t timeout_ns) const {
        return wait(lock, changed, to, timeout_ns,
                    [](std::unique_lock<std::mutex>&) noexcept { return false; });
    }

private:
    void tell() noexcept;
    sdk::Status late(uint64_t to) const noexcept;
};

template <class Run>
sdk::Status HostTimeline::wait(std::unique_lock<std::mutex>& lock, std::condition_variable& changed,
                               uint64_t to, uint64_t timeout_ns, Run&& run) const {
    // A time past a year is no limit: it would overflow the clock.
    constexpr uint64_t kForever = uint64_t{365} * 24 * 3600 * 1000000000;
    const bool forever = timeout_ns >= kForever;
    const auto limit = std::chrono::steady_clock::now() +
                       std::chrono::nanoseconds(static_cast<int64_t>(forever ? 0 : timeout_ns));
    for (;;) {
        if (reached(to)) return {};
        if (!failure.ok()) return failure;
        if (!forever && std::chrono::steady_clock::now() >= limit) return late(to);
        if (run(lock)) continue;
        if (forever) {
            changed.wait(lock);
        } else {
            changed.wait_until(lock, limit);
        }
    }
}

// What queued work asks of the timelines behind its points; Handles is the backend's sdk::Backend.

// The failure that one of n waits ended with, or null; *ready: all of them are reached.
template <class Handles>
const sdk::Status* failed_wait(const tenon_point* waits, uint32_t n, bool* ready) noexcept {
    *ready = true;
    for (uint32_t i = 0; i < n; ++i) {
        const HostTimeline& timeline = *Handles::get(waits[i].timeline);
        if (timeline.reached(waits[i].value)) continue;
        *ready = false;
        if (!timeline.failure.ok()) return &timeline.failure;
    }
    return nullptr;
}

// Raises n signals, or fails them all with `status`.
template <class Handles>
void end_signals(const tenon_point* signals, uint32_t n, const sdk::Status& status) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        HostTimeline& timeline = *Handles::get(signals[i].timeline);
        if (status.ok()) {
            timeline.raise(signals[i].value);
        } else {
            timeline.fail(status);
        }
    }
}

}  // namespace tenon::common
