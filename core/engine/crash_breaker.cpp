#include "core/engine/crash_breaker.h"

#include <algorithm>

namespace tenon::engine {

uint64_t CrashBreaker::on_death(uint64_t now_ms) {
    if (is_open_) {  // the probe
        open_ms_ = std::min<uint64_t>(open_ms_ * 2, policy_.open_ms_max);
        return now_ms + open_ms_;
    }
    if (deaths_ > 0 && now_ms - first_death_ms_ > policy_.window_ms) deaths_ = 0;
    if (deaths_++ == 0) first_death_ms_ = now_ms;
    if (deaths_ >= policy_.deaths_max) {
        is_open_ = true;
        open_ms_ = policy_.open_ms;
        return now_ms + open_ms_;
    }
    if (deaths_ == 1) return now_ms;
    const uint64_t backoff = uint64_t{policy_.backoff_ms} << std::min(deaths_ - 2, 20u);
    return now_ms + std::min<uint64_t>(backoff, policy_.backoff_ms_max);
}

void CrashBreaker::on_success() {
    deaths_ = 0;
    is_open_ = false;
}

}  // namespace tenon::engine
