// One piece of work in the ring of a queue: points in time, and what is to be done between them. Storage
// is fixed, so that queueing a step takes no memory.
#pragma once

#include <cstdint>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/common/step_bounds.h"

namespace tenon::common {

constexpr uint32_t kPointsMax = 16;  // waits or signals of one piece of work

// A backend's Work derives from it and adds the program of a step.
struct QueuedWork {
    enum class Kind { kCopy, kMove, kStep };
    Kind kind = Kind::kCopy;
    uint32_t n_waits = 0;
    uint32_t n_signals = 0;
    tenon_point waits[kPointsMax];
    tenon_point signals[kPointsMax];
    std::vector<tenon_copy> copies;
    std::vector<tenon_kv_move> moves;
    tenon_bind bind{};  // its arrays are those below
    tenon_buffer* buffers[kSlotsMax];
    uint64_t offsets[kSlotsMax];
    int64_t symbols[kSymbolsMax];

    // At most kPointsMax of each: check_points has seen it.
    void take_points(const tenon_sync& sync) noexcept;
    // Becomes a step. The bind has passed check_bind with these bounds; its cancel and progress words
    // stay the caller's.
    void take_bind(const StepBounds& bounds, const tenon_bind& bind) noexcept;

    QueuedWork() = default;
    QueuedWork(const QueuedWork&) = delete;  // bind points into it
    QueuedWork& operator=(const QueuedWork&) = delete;
};

sdk::Status check_points(const tenon_sync& sync) noexcept;

}  // namespace tenon::common
