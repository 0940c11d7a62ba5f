// Sixteen-lane vectors, once per instruction set.
//
// Included only by instance files, which define TENON_ISA_NAMESPACE and TENON_ISA_LEVEL first: 0
// scalar, 1 AVX2, 2 AVX-512, 3 NEON, 4 NEON with dotprod, 5 with i8mm too. Everything lives in that
// namespace: no inline function is common to two objects built with different flags, so the linker
// cannot keep the wrong one.
// Every operation is a fixed sequence of IEEE operations: the same inputs give the same bits.
#pragma once

#if !defined(TENON_ISA_NAMESPACE) || !defined(TENON_ISA_LEVEL)
#error "define TENON_ISA_NAMESPACE and TENON_ISA_LEVEL first"
#endif

#include <stddef.h>
#include <stdint.h>

#define TENON_INLINE inline __attribute__((always_inline))

#if TENON_ISA_LEVEL >= 3
#include "kernels/cpu/simd/simd_neon-inl.h"
#elif TENON_ISA_LEVEL == 2
#include "kernels/cpu/simd/simd_avx512-inl.h"
#elif TENON_ISA_LEVEL == 1
#include "kernels/cpu/simd/simd_avx2-inl.h"
#else
#include "kernels/cpu/simd/simd_scalar-inl.h"
#endif

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kLanes = 16;

// e^x with a relative error below 2e-7 for results in float's normal range; exactly 1 at 0, exactly
// 0 at -inf, +inf above 88.73, NaN for NaN.
TENON_INLINE F exp_lanes(F x) {
    const F clamped = min_lanes(max_lanes(x, set(-104.0f)), set(89.0f));
    const F n = round_lanes(mul(clamped, set(1.44269504f)));
    // ln 2 in two parts; the first has 9 significant bits, so n * part is exact.
    const F r = sub(sub(clamped, mul(n, set(0.693359375f))), mul(n, set(-2.12194440e-4f)));
    F p = set(1.0f / 5040.0f);
    p = fma_lanes(p, r, set(1.0f / 720.0f));
    p = fma_lanes(p, r, set(1.0f / 120.0f));
    p = fma_lanes(p, r, set(1.0f / 24.0f));
    p = fma_lanes(p, r, set(1.0f / 6.0f));
    p = fma_lanes(p, r, set(0.5f));
    p = fma_lanes(p, r, set(1.0f));
    p = fma_lanes(p, r, set(1.0f));
    return keep_nan(x, scale_by_power_of_two(p, n));
}

// tanh through exp; exact at the ends.
TENON_INLINE F tanh_lanes(F x) {
    const F e = exp_lanes(add(x, x));
    return sub(set(1.0f), div_lanes(set(2.0f), add(e, set(1.0f))));
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
