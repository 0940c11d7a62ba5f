// Where a barrier has to stand between dispatches: in front of one that reads what another wrote since
// the last barrier, or writes what another touched.
//
// Hazards are found by range. The barrier itself is one VkMemoryBarrier: it settles all that came before,
// so that one serves every hazard on either side of it, and drivers turn barriers of buffers into the
// same flushes (README.md).
#pragma once

#include <cstdint>
#include <vector>

#include "backends/vulkan/volk.h"

namespace tenon::vulkan {

// Bytes begin .. end - 1 of a buffer that a dispatch reads or writes.
struct Range {
    VkBuffer buffer;
    uint64_t begin, end;
    bool meets(const Range& other) const noexcept {
        return buffer == other.buffer && begin < other.end && other.begin < end;
    }
};

class Hazards {
public:
    struct Use {
        Range range;
        bool writes;
    };
    // Whether this dispatch may not start before all earlier ones have ended and their writes are seen.
    // Its own uses count from now on. Ranges of one dispatch may meet each other.
    bool orders(const std::vector<Use>& dispatch);
    // Since the last barrier something wrote the range.
    bool written(const Range& range) const noexcept;
    // A barrier of another kind was recorded.
    void clear() noexcept;

private:
    bool hit(const Use& use) const noexcept;

    std::vector<Range> read_, written_;
};

}  // namespace tenon::vulkan
