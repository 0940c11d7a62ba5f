#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/norm.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

TENON_INLINE F norm_input(const float* x, const float* residual, uint32_t at, uint32_t count) {
    const F value = load_first(x + at, count);
    return residual == nullptr ? value : add(value, load_first(residual + at, count));
}

void rms_norm(const NormArgs& a) {
    for (uint32_t row = a.row_begin; row < a.row_end; ++row) {
        const float* x = a.x + row * a.x_stride;
        const float* residual =
            a.residual == nullptr ? nullptr : a.residual + row * a.residual_stride;
        float* y = a.y + row * a.y_stride;
        float* sum = a.sum == nullptr ? nullptr : a.sum + row * a.sum_stride;
        F even = zero();
        F odd = zero();
        for (uint32_t at = 0; at < a.cols; at += 2 * kLanes) {
            const F first = norm_input(x, residual, at, a.cols - at);
            even = fma_lanes(first, first, even);
            if (sum != nullptr) store_first(sum + at, first, a.cols - at);
            if (at + kLanes >= a.cols) break;
            const F second = norm_input(x, residual, at + kLanes, a.cols - at - kLanes);
            odd = fma_lanes(second, second, odd);
            if (sum != nullptr) store_first(sum + at + kLanes, second, a.cols - at - kLanes);
        }
        const float mean = sum_lanes(add(even, odd)) / static_cast<float>(a.cols);
        const F factor = div_lanes(set(1.0f), square_root(set(mean + a.epsilon)));
        const float* source = sum != nullptr ? sum : x;
        const float* rest = sum != nullptr ? nullptr : residual;
        for (uint32_t at = 0; at < a.cols; at += kLanes) {
            const uint32_t count = a.cols - at;
            const F gain = add(load_first(a.gain + at, count), set(a.gain_offset));
            const F value = mul(norm_input(source, rest, at, count), factor);
            store_first(y + at, mul(value, gain), count);
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
