// When a process that dies is started again. Pure: the caller brings the clock.
#pragma once

#include <cstdint>

namespace tenon::engine {

// Times in milliseconds of one monotonic clock.
struct CrashPolicy {
    uint32_t deaths_max = 5;  // without a success between them, all within window_ms: opens
    uint32_t window_ms = 30'000;
    uint32_t backoff_ms = 100;  // before the second restart without success; doubles
    uint32_t backoff_ms_max = 2'000;
    uint32_t open_ms = 10'000;  // until the probe; doubles while probes die
    uint32_t open_ms_max = 120'000;
};

// The first restart is at once, later ones back off until a success. The breaker opens after
// deaths_max deaths in a row and then allows one probe per open time; a success closes it.
class CrashBreaker {
public:
    explicit CrashBreaker(const CrashPolicy& policy = {}) : policy_(policy) {}

    // The process died. Returns the time of its restart, which is the probe's when is_open().
    uint64_t on_death(uint64_t now_ms);
    // It did work.
    void on_success();
    // Requests are refused until the probe is up.
    bool is_open() const noexcept { return is_open_; }

private:
    CrashPolicy policy_;
    uint32_t deaths_ = 0;          // in a row
    uint64_t first_death_ms_ = 0;  // of that row
    bool is_open_ = false;
    uint64_t open_ms_ = 0;
};

}  // namespace tenon::engine
