#include "backends/vulkan/hazards.h"

#include <algorithm>

namespace tenon::vulkan {
namespace {

bool meets_any(const std::vector<Range>& ranges, const Range& range) noexcept {
    return std::any_of(ranges.begin(), ranges.end(),
                       [&](const Range& other) { return range.meets(other); });
}

}  // namespace

bool Hazards::written(const Range& range) const noexcept { return meets_any(written_, range); }

bool Hazards::hit(const Use& use) const noexcept {
    return written(use.range) || (use.writes && meets_any(read_, use.range));
}

bool Hazards::orders(const std::vector<Use>& dispatch) {
    const bool any =
        std::any_of(dispatch.begin(), dispatch.end(), [&](const Use& use) { return hit(use); });
    if (any) clear();
    for (const Use& use : dispatch)
        (use.writes ? written_ : read_).push_back(use.range);
    return any;
}

void Hazards::clear() noexcept {
    read_.clear();
    written_.clear();
}

}  // namespace tenon::vulkan
