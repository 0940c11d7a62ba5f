#include "core/engine/stall_watch.h"

#include <algorithm>

namespace tenon::engine {

void StallWatch::look(uint64_t now_ms, const SignsOfLife& signs) {
    const uint64_t passed = has_looked_ ? std::min<uint64_t>(now_ms - looked_ms_, kLookMs) : 0;
    const bool progressed = signs.steps != last_.steps || signs.progress != last_.progress;
    const bool beat = signs.heartbeat != last_.heartbeat;
    without_progress_ms_ = progressed || !signs.is_busy ? 0 : without_progress_ms_ + passed;
    without_heart_ms_ = progressed || beat ? 0 : without_heart_ms_ + passed;
    has_looked_ = true;
    looked_ms_ = now_ms;
    last_ = signs;
}

bool StallWatch::is_silent_for(uint32_t limit_ms) const noexcept {
    return without_progress_ms_ >= limit_ms || without_heart_ms_ >= std::max(limit_ms, kHeartMs);
}

}  // namespace tenon::engine
