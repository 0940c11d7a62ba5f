// ADD: elementwise sum in float. b has a's shape, or is one row that is added to every row of a.
#pragma once

#include <cstdint>

namespace tenon::reference {

// a, y: [count]; b: [b_count], where b_count divides count; y may be a or b when the counts are equal.
inline void add(const float* a, const float* b, int64_t count, int64_t b_count, float* y) {
    for (int64_t i = 0; i < count; ++i)
        y[i] = a[i] + b[i % b_count];
}

}  // namespace tenon::reference
