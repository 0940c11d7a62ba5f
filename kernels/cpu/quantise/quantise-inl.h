#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/quantise.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

void quantise(const QuantiseArgs& a) {
    for (uint32_t token = a.token_begin; token < a.token_end; ++token) {
        const float* x = a.x + (token - a.token_begin) * a.x_stride;
        ActivationBlock* tile = a.out + size_t{token / kTileTokens} * a.row_blocks;
        const uint32_t slot = token % kTileTokens;
        for (uint32_t block = a.block_begin; block < a.block_end; ++block, x += 32) {
            ActivationBlock& out = tile[block];
            out.sum[slot] = 0.0f;
            for (uint32_t half = 0; half < 2; ++half) {
                const F part = load(x + 16 * half);
                const float largest = largest_magnitude(magnitude_max(zero_int(), part));
                const float scale = largest / 127.0f;
                const F inverse = set(largest > 0.0f ? 127.0f / largest : 0.0f);
                const int32_t sum =
                    store_rounded_bytes(out.codes[slot] + 16 * half, mul(part, inverse));
                out.scale[half][slot] = scale;
                out.sum[slot] += scale * static_cast<float>(sum);
                out.minus_sum[half][slot] = -sum;
            }
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
