#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/rope.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

TENON_INLINE F rotated(F x, F partner, const float* cosine, const float* sine, uint32_t count) {
    return fma_lanes(x, load_first(cosine, count), mul(partner, load_first(sine, count)));
}

void rope(const RopeArgs& a) {
    const float* cosine = a.table;
    const float* sine = a.table + a.rope_dim;
    const uint32_t half = a.rope_dim / 2;
    for (uint32_t head = 0; head < a.heads; ++head) {
        const float* x = a.x + size_t{head} * a.head_dim;
        float* out = a.out + size_t{head} * a.head_dim;
        if (a.style == RopeStyle::kInterleaved) {
            for (uint32_t at = 0; at < a.rope_dim; at += kLanes) {
                const uint32_t count = a.rope_dim - at;
                const F value = load_first(x + at, count);
                store_first(out + at,
                            rotated(value, swap_pairs(value), cosine + at, sine + at, count),
                            count);
            }
        } else {
            for (uint32_t at = 0; at < half; at += kLanes) {
                const uint32_t count = half - at;
                const F first = load_first(x + at, count);
                const F second = load_first(x + half + at, count);
                store_first(out + at, rotated(first, second, cosine + at, sine + at, count), count);
                store_first(out + half + at,
                            rotated(second, first, cosine + half + at, sine + half + at, count),
                            count);
            }
        }
        for (uint32_t at = a.rope_dim; at < a.head_dim; at += kLanes)
            store_first(out + at, load_first(x + at, a.head_dim - at), a.head_dim - at);
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
