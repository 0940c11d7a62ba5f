#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/peak.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

// One pass keeps, for runs of 512 logits, only which run holds the largest; that run alone is
// looked through again for the index.
Peak peak_of(const float* logits, uint64_t count) {
    constexpr uint64_t kRun = 512;
    constexpr uint64_t kChains = 4;
    const F infinity = set(__builtin_inff());
    I broken = zero_int();
    float largest = -__builtin_inff();
    uint64_t found_in = 0;
    for (uint64_t at = 0; at < count; at += kRun) {
        F top[kChains];
        for (F& chain : top)
            chain = set(-__builtin_inff());
        const uint64_t left = count - at;
        if (left >= kRun) {
            for (uint64_t i = at; i < at + kRun; i += kChains * kLanes) {
#pragma GCC unroll 4
                for (uint64_t c = 0; c < kChains; ++c) {
                    const F x = load(logits + i + c * kLanes);
                    top[c] = max_lanes(x, top[c]);
                    broken = mark_not_below(broken, x, infinity);
                }
            }
        } else {
            for (uint64_t i = at; i < count; i += kLanes) {
                const uint32_t rest = static_cast<uint32_t>(count - i);
                const F x =
                    select_range(load_first(logits + i, rest), 0, rest, set(-__builtin_inff()));
                top[0] = max_lanes(x, top[0]);
                broken = mark_not_below(broken, x, infinity);
            }
        }
        const float of_run =
            largest_lane(max_lanes(max_lanes(top[0], top[1]), max_lanes(top[2], top[3])));
        if (of_run > largest) {
            largest = of_run;
            found_in = at;
        }
    }
    Peak peak{0, any_mark(broken)};
    for (uint64_t i = found_in; i < count && i < found_in + kRun; ++i) {
        if (logits[i] != largest) continue;
        peak.index = static_cast<uint32_t>(i);
        break;
    }
    return peak;
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
