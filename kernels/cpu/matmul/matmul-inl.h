// One body for every format and instruction set; what differs is dot_half (dot_*-inl.h).
#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/matmul.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kPanelCols = 512;   // columns decoded at once by the precise path
constexpr uint32_t kPanelTokens = 64;  // tokens that share one pass over the weights
constexpr uint32_t kPreciseTokens = 4; // columns of a precise register tile

struct Q4 {
    static constexpr uint32_t kCodeBytes = 256;
    static constexpr bool kNibbles = true;
};
struct FormatQ4_0 : Q4 {
    static constexpr uint32_t kBlockBytes = 288;
    static constexpr bool kHasMin = false;
    static constexpr int32_t kZeroPoint = 8;
};
struct FormatQ4_1 : Q4 {
    static constexpr uint32_t kBlockBytes = 320;
    static constexpr bool kHasMin = true;
    static constexpr int32_t kZeroPoint = 0;
};
struct FormatQ8_0 {
    static constexpr uint32_t kCodeBytes = 512;
    static constexpr uint32_t kBlockBytes = 544;
    static constexpr bool kNibbles = false;
    static constexpr bool kHasMin = false;
    static constexpr int32_t kZeroPoint = 128;
};
struct FormatF32 {
    static constexpr uint32_t kColBytes = 64;
    static TENON_INLINE F load_col(const uint8_t* p) {
        return load(reinterpret_cast<const float*>(p));
    }
};
struct FormatF16 {
    static constexpr uint32_t kColBytes = 32;
    static TENON_INLINE F load_col(const uint8_t* p) {
        return load_half(reinterpret_cast<const uint16_t*>(p));
    }
};
struct FormatBf16 {
    static constexpr uint32_t kColBytes = 32;
    static TENON_INLINE F load_col(const uint8_t* p) {
        return load_bfloat(reinterpret_cast<const uint16_t*>(p));
    }
};

TENON_INLINE F load_scales(const uint8_t* p) {
    return load_half(reinterpret_cast<const uint16_t*>(p));
}

TENON_INLINE void finish(const MatmulArgs& a, uint32_t group, uint32_t token, F sum) {
    const uint32_t row = group * kGroupRows;
    const uint32_t count = a.rows - row < kGroupRows ? a.rows - row : kGroupRows;
    if (a.alpha != 1.0f) sum = mul(sum, set(a.alpha));
    if (a.bias != nullptr) sum = add(sum, load_first(a.bias + row, count));
    if (a.residual != nullptr)
        sum = add(sum, load_first(a.residual + token * a.residual_stride + row, count));
    store_first(a.y + token * a.y_stride + row, sum, count);
}

} // namespace tenon::kernels::TENON_ISA_NAMESPACE

#if TENON_ISA_LEVEL == 2
#include "kernels/cpu/matmul/dot_avx512-inl.h"
#elif TENON_ISA_LEVEL == 1
#include "kernels/cpu/matmul/dot_avx2-inl.h"
#else
#include "kernels/cpu/matmul/dot_scalar-inl.h"
#endif

namespace tenon::kernels::TENON_ISA_NAMESPACE {

// Adds columns [16 * Half, 16 * Half + 16) of a block: an exact integer, scaled.
template <class Format, uint32_t Tokens, uint32_t Half>
TENON_INLINE void add_half(const uint8_t* w, const ActivationBlock& x, uint32_t slot, F scale,
                           F* total) {
    I dot[Tokens];
    dot_half<Format, Tokens, Half>(w, x, slot, dot);
#pragma GCC unroll 8
    for (uint32_t t = 0; t < Tokens; ++t)
        total[t] = fma_lanes(to_float(dot[t]), mul(scale, set(x.scale[Half][slot + t])), total[t]);
}

// Slots [slot, slot + Tokens) of one tile against one row group. Fetches the next group meanwhile,
// `ahead` bytes further on, unless that is 0.
template <class Format, uint32_t Tokens>
TENON_INLINE void fast_tile(const MatmulArgs& a, const uint8_t* w, uint32_t group,
                            const ActivationBlock* x, uint32_t slot, uint32_t token, size_t ahead) {
    F total[Tokens];
#pragma GCC unroll 8
    for (uint32_t t = 0; t < Tokens; ++t) total[t] = zero();
    const uint32_t blocks = a.cols / kBlockCols;
    for (uint32_t block = 0; block < blocks; ++block) {
        const F scale = load_scales(w + Format::kCodeBytes);
        prefetch_ahead<Format, Tokens>(w, ahead);
        add_half<Format, Tokens, 0>(w, *x, slot, scale, total);
        add_half<Format, Tokens, 1>(w, *x, slot, scale, total);
        if constexpr (Format::kHasMin) {
            const F min = load_scales(w + Format::kCodeBytes + 32);
#pragma GCC unroll 8
            for (uint32_t t = 0; t < Tokens; ++t)
                total[t] = fma_lanes(min, set(x->sum[slot + t]), total[t]);
        }
        w += Format::kBlockBytes;
        ++x;
    }
#pragma GCC unroll 8
    for (uint32_t t = 0; t < Tokens; ++t) finish(a, group, token + t, total[t]);
}

// At most kFastTokens slots of a tile.
template <class Format>
TENON_INLINE void fast_slots(const MatmulArgs& a, const uint8_t* w, uint32_t group,
                             const ActivationBlock* x, uint32_t slot, uint32_t token,
                             uint32_t count, size_t ahead) {
    switch (count) {
    case 1: return fast_tile<Format, 1>(a, w, group, x, slot, token, ahead);
    case 2: return fast_tile<Format, 2>(a, w, group, x, slot, token, ahead);
    case 3: return fast_tile<Format, 3>(a, w, group, x, slot, token, ahead);
    case 4: return fast_tile<Format, 4>(a, w, group, x, slot, token, ahead);
    default: break;
    }
    if constexpr (kFastTokens == 8) {
        switch (count) {
        case 5: return fast_tile<Format, 5>(a, w, group, x, slot, token, ahead);
        case 6: return fast_tile<Format, 6>(a, w, group, x, slot, token, ahead);
        case 7: return fast_tile<Format, 7>(a, w, group, x, slot, token, ahead);
        default: return fast_tile<Format, 8>(a, w, group, x, slot, token, ahead);
        }
    }
}

template <class Format>
void matmul_fast(const MatmulArgs& a) {
    const uint32_t blocks = a.cols / kBlockCols;
    const size_t group_stride = size_t{blocks} * Format::kBlockBytes;
    for (uint32_t panel = a.token_begin; panel < a.token_end; panel += kPanelTokens) {
        const uint32_t left = a.token_end - panel;
        const uint32_t panel_end = panel + (left < kPanelTokens ? left : kPanelTokens);
        for (uint32_t group = a.group_begin; group < a.group_end; ++group) {
            const uint8_t* w = static_cast<const uint8_t*>(a.weights) + group * group_stride;
            for (uint32_t token = panel; token < panel_end; token += kFastTokens) {
                const uint32_t rest = panel_end - token;
                const uint32_t count = rest < kFastTokens ? rest : kFastTokens;
                const ActivationBlock* x =
                    a.activations + size_t{token / kTileTokens} * blocks;
                fast_slots<Format>(a, w, group, x, token % kTileTokens, token, count,
                                   token == panel ? group_stride : 0);
            }
        }
    }
}

// Decodes `cols` columns of a row group to out[col][16]; value = (code - zero_point) * scale + min.
// Fetches the same columns of the next group, `ahead` bytes further on.
template <class Format>
TENON_INLINE void decode_panel(const uint8_t* w, uint32_t first, uint32_t cols, size_t ahead,
                               float* out) {
    if constexpr (requires { Format::kColBytes; }) {
        w += size_t{first} * Format::kColBytes;
        for (uint32_t col = 0; col < cols; ++col)
            store(out + col * kLanes, Format::load_col(w + size_t{col} * Format::kColBytes));
    } else {
        w += size_t{first / kBlockCols} * Format::kBlockBytes;
        for (uint32_t col = 0; col < cols; col += kBlockCols) {
            for (uint32_t line = 0; line < Format::kBlockBytes; line += 64)
                prefetch(w + ahead + line);
            const F scale = load_scales(w + Format::kCodeBytes);
            F min = mul(scale, set(-static_cast<float>(Format::kZeroPoint)));
            if constexpr (Format::kHasMin) min = load_scales(w + Format::kCodeBytes + 32);
            decode_codes<Format>(w, scale, min, out + col * kLanes);
            w += Format::kBlockBytes;
        }
    }
}

template <uint32_t Tokens>
TENON_INLINE void precise_tile(const float* w, uint32_t cols, const float* const* x, F* total) {
    F chain[4][Tokens];
#pragma GCC unroll 4
    for (uint32_t c = 0; c < 4; ++c)
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t) chain[c][t] = zero();
    uint32_t k = 0;
    for (; k + 4 <= cols; k += 4) {
#pragma GCC unroll 4
        for (uint32_t c = 0; c < 4; ++c) {
            const F column = load(w + (k + c) * kLanes);
#pragma GCC unroll 4
            for (uint32_t t = 0; t < Tokens; ++t)
                chain[c][t] = fma_lanes(column, set(x[t][k + c]), chain[c][t]);
        }
    }
    for (uint32_t c = 0; k + c < cols; ++c) {
        const F column = load(w + (k + c) * kLanes);
#pragma GCC unroll 4
        for (uint32_t t = 0; t < Tokens; ++t) {
            const F value = set(x[t][k + c]);
            if (c == 0) chain[0][t] = fma_lanes(column, value, chain[0][t]);
            if (c == 1) chain[1][t] = fma_lanes(column, value, chain[1][t]);
            if (c == 2) chain[2][t] = fma_lanes(column, value, chain[2][t]);
        }
    }
#pragma GCC unroll 4
    for (uint32_t t = 0; t < Tokens; ++t)
        total[t] = add(total[t], add(add(chain[0][t], chain[1][t]), add(chain[2][t], chain[3][t])));
}

template <class Format>
void matmul_precise(const MatmulArgs& a) {
    size_t group_stride;
    if constexpr (requires { Format::kColBytes; })
        group_stride = size_t{a.cols} * Format::kColBytes;
    else
        group_stride = size_t{a.cols / kBlockCols} * Format::kBlockBytes;
    alignas(64) float decoded[kPanelCols * kLanes];
    F total[kPanelTokens];
    for (uint32_t panel = a.token_begin; panel < a.token_end; panel += kPanelTokens) {
        const uint32_t left = a.token_end - panel;
        const uint32_t tokens = left < kPanelTokens ? left : kPanelTokens;
        for (uint32_t group = a.group_begin; group < a.group_end; ++group) {
            const uint8_t* w = static_cast<const uint8_t*>(a.weights) + group * group_stride;
            for (uint32_t t = 0; t < tokens; ++t) total[t] = zero();
            for (uint32_t first = 0; first < a.cols; first += kPanelCols) {
                const uint32_t rest = a.cols - first;
                const uint32_t cols = rest < kPanelCols ? rest : kPanelCols;
                decode_panel<Format>(w, first, cols, group_stride, decoded);
                for (uint32_t t = 0; t < tokens; t += kPreciseTokens) {
                    const float* x[kPreciseTokens];
                    const uint32_t count = tokens - t < kPreciseTokens ? tokens - t : kPreciseTokens;
                    for (uint32_t i = 0; i < kPreciseTokens; ++i)
                        x[i] = a.x + (panel + t + (i < count ? i : 0)) * a.x_stride + first;
                    if (count == 1) precise_tile<1>(decoded, cols, x, total + t);
                    if (count == 2) precise_tile<2>(decoded, cols, x, total + t);
                    if (count == 3) precise_tile<3>(decoded, cols, x, total + t);
                    if (count == 4) precise_tile<4>(decoded, cols, x, total + t);
                }
            }
            for (uint32_t t = 0; t < tokens; ++t) finish(a, group, panel + t, total[t]);
        }
    }
}

} // namespace tenon::kernels::TENON_ISA_NAMESPACE
