// Whether an engine process still moves. Pure: the caller brings the clock and the signs of life.
#pragma once

#include <cstdint>

namespace tenon::engine {

// What the caller reads off the progress page. Any change counts as life.
struct SignsOfLife {
    uint64_t steps = 0, progress = 0, heartbeat = 0;
    bool is_busy = false;  // work is there that could be computed
};

// Busy without progress is a stall however lively the heart; a heart that stopped (a stopped
// process) is one however idle, after at least kHeartMs.
class StallWatch {
public:
    static constexpr uint32_t kHeartMs = 2'000;
    // Longest time between two looks that is held against the engine: the looker itself may have
    // been stopped.
    static constexpr uint32_t kLookMs = 500;

    // A new engine process.
    void reset() { *this = {}; }
    void look(uint64_t now_ms, const SignsOfLife& signs);
    // Whether the silence has reached `limit_ms`.
    bool is_silent_for(uint32_t limit_ms) const noexcept;

private:
    bool has_looked_ = false;
    uint64_t looked_ms_ = 0;
    SignsOfLife last_;
    uint64_t without_progress_ms_ = 0, without_heart_ms_ = 0;
};

}  // namespace tenon::engine
