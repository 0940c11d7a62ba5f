// One body for every format and instruction set; what differs is dot_half (dot_*-inl.h).
#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/matmul.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kPanelCols = 128;   // columns decoded at once by the precise path
constexpr uint32_t kPanelTokens = 64;  // tokens that share one pass over the weights
// A precise register tile: row groups by tokens. A lone token takes more groups, since each of its
// sums waits for the one before.
constexpr uint32_t kTileGroups = TENON_ISA_LEVEL == 2 ? 4 : 1;
constexpr uint32_t kTileSlots = TENON_ISA_LEVEL == 0 ? 2 : 6;
constexpr uint32_t kLoneTokenGroups = TENON_ISA_LEVEL == 0 ? 1 : 4;
constexpr uint32_t kStreamBytes = 2048;  // how far ahead of its use a stream of columns is fetched

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
struct Q8 {
    static constexpr uint32_t kCodeBytes = 512;
    static constexpr bool kNibbles = false;
    static constexpr int32_t kZeroPoint = 128;
};
struct FormatQ8_0 : Q8 {
    static constexpr uint32_t kBlockBytes = 544;
    static constexpr bool kHasMin = false;
};
struct FormatQ8_1 : Q8 {
    static constexpr uint32_t kBlockBytes = 576;
    static constexpr bool kHasMin = true;
};
// Blocks of super-blocks are codes alone; scales are in the head (Head).
struct FormatSuperS4 : Q4 {
    static constexpr uint32_t kBlockBytes = kCodeBytes;
    static constexpr bool kSuper = true;
    static constexpr int32_t kZeroPoint = 8;
};
struct FormatSuperU4 : Q4 {
    static constexpr uint32_t kBlockBytes = kCodeBytes;
    static constexpr bool kSuper = true;
    static constexpr int32_t kZeroPoint = 0;
};
struct FormatSuperS8 : Q8 {
    static constexpr uint32_t kBlockBytes = kCodeBytes;
    static constexpr bool kSuper = true;
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

// The scales of one super-block and its factors, read block after block.
struct Head {
    F scale, min;
    const int8_t* factors;
    uint32_t min_factors;  // bytes from a factor to that of the min

    TENON_INLINE Head(const PackedLayout& layout, const uint8_t* head) {
        const auto* floats = reinterpret_cast<const float*>(head);
        scale = load(floats);
        min = layout.has_min ? load(floats + kLanes) : zero();
        factors = reinterpret_cast<const int8_t*>(floats + (layout.has_min ? 2 : 1) * kLanes);
        min_factors = layout.factor_cols == 0 ? 0 : layout.super_cols / layout.factor_cols * kLanes;
    }
};

// Scale and min of the halves of a block; takes the factors that it uses.
struct HalfScales {
    F scale[2], min[2];

    TENON_INLINE HalfScales(const PackedLayout& layout, Head& head) {
        scale[0] = scale[1] = head.scale;
        min[0] = min[1] = head.min;
        if (layout.factor_cols == 0) return;
        const bool two = layout.factor_cols < kBlockCols;
        const int8_t* second = head.factors + (two ? kLanes : 0);
        scale[0] = mul(head.scale, load_int8(head.factors));
        scale[1] = two ? mul(head.scale, load_int8(second)) : scale[0];
        if (layout.has_min) {
            min[0] = mul(head.min, load_int8(head.factors + head.min_factors));
            min[1] = two ? mul(head.min, load_int8(second + head.min_factors)) : min[0];
        }
        head.factors += (two ? 2 : 1) * kLanes;
    }
};

TENON_INLINE void finish(const MatmulArgs& a, uint32_t group, uint32_t token, F sum) {
    const uint32_t row = group * kGroupRows;
    const uint32_t count = a.rows - row < kGroupRows ? a.rows - row : kGroupRows;
    if (a.alpha != 1.0f) sum = mul(sum, set(a.alpha));
    if (a.bias != nullptr) sum = add(sum, load_first(a.bias + row, count));
    if (a.residual != nullptr)
        sum = add(sum, load_first(a.residual + token * a.residual_stride + row, count));
    store_first(a.y + token * a.y_stride + row, sum, count);
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE

#if TENON_ISA_LEVEL >= 3
#include "kernels/cpu/matmul/dot_neon-inl.h"
#elif TENON_ISA_LEVEL == 2
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

// All blocks of one row group.
template <class Format, uint32_t Tokens>
TENON_INLINE void add_blocks(const MatmulArgs& a, const uint8_t* w, const ActivationBlock* x,
                             uint32_t slot, size_t ahead, F* total) {
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
}

// All super-blocks of one row group. x->sum is of both halves; where halves have mins of their own,
// each half's is made of its scale and its sum of codes.
template <class Format, uint32_t Tokens>
TENON_INLINE void add_supers(const MatmulArgs& a, const uint8_t* w, const ActivationBlock* x,
                             uint32_t slot, size_t ahead, F* total) {
    const PackedLayout& layout = a.layout;
    const bool two_mins = layout.has_min && layout.factor_cols == kBlockCols / 2;
    for (uint32_t first = 0; first < a.cols; first += layout.super_cols) {
        Head head(layout, w);
        const uint8_t* codes = w + layout.head_bytes;
        for (uint32_t col = 0; col < layout.super_cols; col += kBlockCols) {
            const HalfScales of(layout, head);
            prefetch_ahead<Format, Tokens>(codes, ahead);
            add_half<Format, Tokens, 0>(codes, *x, slot, of.scale[0], total);
            add_half<Format, Tokens, 1>(codes, *x, slot, of.scale[1], total);
            if (two_mins) {
#pragma GCC unroll 8
                for (uint32_t t = 0; t < Tokens; ++t)
#pragma GCC unroll 2
                    for (uint32_t half = 0; half < 2; ++half)
                        total[t] = fma_lanes(of.min[half],
                                             set(x->scale[half][slot + t] *
                                                 static_cast<float>(-x->minus_sum[half][slot + t])),
                                             total[t]);
            } else if (layout.has_min) {
#pragma GCC unroll 8
                for (uint32_t t = 0; t < Tokens; ++t)
                    total[t] = fma_lanes(of.min[0], set(x->sum[slot + t]), total[t]);
            }
            codes += Format::kBlockBytes;
            ++x;
        }
        w += layout.super_bytes;
    }
}

// Bytes of one packed row group.
template <class Format>
TENON_INLINE size_t packed_group_bytes(const MatmulArgs& a) {
    if constexpr (requires { Format::kColBytes; })
        return size_t{a.cols} * Format::kColBytes;
    else if constexpr (requires { Format::kSuper; })
        return size_t{a.cols / a.layout.super_cols} * a.layout.super_bytes;
    else
        return size_t{a.cols / kBlockCols} * Format::kBlockBytes;
}

// Slots [slot, slot + Tokens) of one tile against one row group. Fetches the next group meanwhile,
// `ahead` bytes further on, unless that is 0.
template <class Format, uint32_t Tokens>
TENON_INLINE void fast_tile(const MatmulArgs& a, const uint8_t* w, uint32_t group,
                            const ActivationBlock* x, uint32_t slot, uint32_t token, size_t ahead) {
    F total[Tokens];
#pragma GCC unroll 8
    for (uint32_t t = 0; t < Tokens; ++t)
        total[t] = zero();
    if constexpr (requires { Format::kSuper; }) {
        add_supers<Format, Tokens>(a, w, x, slot, ahead, total);
    } else {
        add_blocks<Format, Tokens>(a, w, x, slot, ahead, total);
    }
#pragma GCC unroll 8
    for (uint32_t t = 0; t < Tokens; ++t)
        finish(a, group, token + t, total[t]);
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
    const size_t group_stride = packed_group_bytes<Format>(a);
    for (uint32_t panel = a.token_begin; panel < a.token_end; panel += kPanelTokens) {
        const uint32_t left = a.token_end - panel;
        const uint32_t panel_end = panel + (left < kPanelTokens ? left : kPanelTokens);
        for (uint32_t group = a.group_begin; group < a.group_end; ++group) {
            const uint8_t* w = static_cast<const uint8_t*>(a.weights) + group * group_stride;
            for (uint32_t token = panel; token < panel_end; token += kFastTokens) {
                const uint32_t rest = panel_end - token;
                const uint32_t count = rest < kFastTokens ? rest : kFastTokens;
                const ActivationBlock* x = a.activations + size_t{token / kTileTokens} * blocks;
                fast_slots<Format>(a, w, group, x, token % kTileTokens, token, count,
                                   token == panel ? group_stride : 0);
            }
        }
    }
}

// Decodes columns [first, first + cols) of a row group to out[col][16]: value = (code - zero_point) *
// scale + min. Fetches the same columns of the next group, `ahead` bytes further on.
template <class Format>
TENON_INLINE void decode_floats(const uint8_t* w, uint32_t first, uint32_t cols, float* out) {
    w += size_t{first} * Format::kColBytes;
    for (uint32_t col = 0; col < cols; ++col)
        store(out + col * kLanes, Format::load_col(w + size_t{col} * Format::kColBytes));
}

template <class Format>
TENON_INLINE void decode_blocks(const uint8_t* w, uint32_t first, uint32_t cols, size_t ahead,
                                float* out) {
    w += size_t{first / kBlockCols} * Format::kBlockBytes;
    for (uint32_t col = 0; col < cols; col += kBlockCols) {
        for (uint32_t line = 0; line < Format::kBlockBytes; line += 64)
            prefetch(w + ahead + line);
        const F scale = load_scales(w + Format::kCodeBytes);
        F min = mul(scale, set(-static_cast<float>(Format::kZeroPoint)));
        if constexpr (Format::kHasMin) min = add(min, load_scales(w + Format::kCodeBytes + 32));
        decode_codes<Format>(w, scale, min, out + col * kLanes);
        w += Format::kBlockBytes;
    }
}

template <class Format>
TENON_INLINE void decode_supers(const PackedLayout& layout, const uint8_t* w, uint32_t first,
                                uint32_t cols, size_t ahead, float* out) {
    const F zero_point = set(-static_cast<float>(Format::kZeroPoint));
    const bool halves = layout.factor_cols == kBlockCols / 2;
    w += size_t{first / layout.super_cols} * layout.super_bytes;
    uint32_t skipped = first % layout.super_cols;  // columns of this super-block
    for (uint32_t done = 0; done < cols; w += layout.super_bytes, skipped = 0) {
        Head head(layout, w);
        if (layout.factor_cols != 0) head.factors += skipped / layout.factor_cols * kLanes;
        const uint8_t* codes = w + layout.head_bytes + skipped / kBlockCols * Format::kBlockBytes;
        const uint32_t left = layout.super_cols - skipped;
        const uint32_t end = done + (left < cols - done ? left : cols - done);
        for (; done < end; done += kBlockCols, codes += Format::kBlockBytes) {
            for (uint32_t line = 0; line < Format::kBlockBytes; line += 64)
                prefetch(codes + ahead + line);
            const HalfScales of(layout, head);
            float* to = out + done * kLanes;
            if (!halves) {
                decode_codes<Format>(codes, of.scale[0],
                                     fma_lanes(of.scale[0], zero_point, of.min[0]), to);
                continue;
            }
            decode_codes<Format>(codes, set(1.0f), zero_point, to);
            for (uint32_t i = 0; i < kBlockCols; ++i, to += kLanes)
                store(to, fma_lanes(load(to), of.scale[i / 16], of.min[i / 16]));
        }
    }
}

template <class Format>
TENON_INLINE void decode_panel(const PackedLayout& layout, const uint8_t* w, uint32_t first,
                               uint32_t cols, size_t ahead, float* out) {
    if constexpr (requires { Format::kColBytes; })
        decode_floats<Format>(w, first, cols, out);
    else if constexpr (requires { Format::kSuper; })
        decode_supers<Format>(layout, w, first, cols, ahead, out);
    else
        decode_blocks<Format>(w, first, cols, ahead, out);
}

// Adds the products of `cols` columns of Groups row groups, `stride` bytes apart, to
// total[group * kPanelTokens + token], in order. Streamed: w is the packed tensor itself.
template <class Columns, bool Streamed, uint32_t Groups, uint32_t Tokens>
void precise_tile(const uint8_t* w, size_t stride, uint32_t cols, const float* x, uint64_t x_stride,
                  F* total) {
    F sum[Groups][Tokens];
#pragma GCC unroll 4
    for (uint32_t g = 0; g < Groups; ++g)
#pragma GCC unroll 6
        for (uint32_t t = 0; t < Tokens; ++t)
            sum[g][t] = zero();
#pragma GCC unroll 2
    for (uint32_t k = 0; k < cols; ++k) {
        F column[Groups];
#pragma GCC unroll 4
        for (uint32_t g = 0; g < Groups; ++g) {
            const uint8_t* at = w + g * stride + size_t{k} * Columns::kColBytes;
            if (Streamed) prefetch(at + kStreamBytes);
            column[g] = Columns::load_col(at);
        }
#pragma GCC unroll 6
        for (uint32_t t = 0; t < Tokens; ++t) {
            const F value = set(x[t * x_stride + k]);
#pragma GCC unroll 4
            for (uint32_t g = 0; g < Groups; ++g)
                sum[g][t] = fma_lanes(column[g], value, sum[g][t]);
        }
    }
#pragma GCC unroll 4
    for (uint32_t g = 0; g < Groups; ++g)
#pragma GCC unroll 6
        for (uint32_t t = 0; t < Tokens; ++t)
            total[g * kPanelTokens + t] = add(total[g * kPanelTokens + t], sum[g][t]);
}

// At most kTileSlots tokens.
template <class Columns, bool Streamed, uint32_t Groups>
TENON_INLINE void precise_slots(uint32_t count, const uint8_t* w, size_t stride, uint32_t cols,
                                const float* x, uint64_t x_stride, F* total) {
#define TENON_TILE(n) \
    precise_tile<Columns, Streamed, Groups, n>(w, stride, cols, x, x_stride, total)
    if (count == 1) return TENON_TILE(1);
    if constexpr (Groups <= kTileGroups) {
        if constexpr (kTileSlots == 6) {
            switch (count) {
                case 2: return TENON_TILE(2);
                case 3: return TENON_TILE(3);
                case 4: return TENON_TILE(4);
                case 5: return TENON_TILE(5);
                default: return TENON_TILE(6);
            }
        }
        return TENON_TILE(2);
    }
#undef TENON_TILE
}

// Tokens [token, token + tokens) of one panel against Groups row groups from w. What is not float
// is decoded first; floats of 16 bits too where several tiles read them.
template <class Format, uint32_t Groups>
TENON_INLINE void precise_groups(const MatmulArgs& a, const uint8_t* w, size_t group_stride,
                                 uint32_t group, uint32_t token, uint32_t tokens) {
    constexpr uint32_t kDecodedStride = kPanelCols * kLanes;
    alignas(64) float decoded[Groups * kDecodedStride];
    F total[Groups * kPanelTokens];
    for (uint32_t g = 0; g < Groups; ++g)
        for (uint32_t t = 0; t < tokens; ++t)
            total[g * kPanelTokens + t] = zero();
    for (uint32_t first = 0; first < a.cols; first += kPanelCols) {
        const uint32_t rest = a.cols - first;
        const uint32_t cols = rest < kPanelCols ? rest : kPanelCols;
        const float* x = a.x + token * a.x_stride + first;
        if constexpr (requires { Format::kColBytes; }) {
            if (tokens <= kTileSlots) {
                precise_slots<Format, true, Groups>(tokens, w + size_t{first} * Format::kColBytes,
                                                    group_stride, cols, x, a.x_stride, total);
                continue;
            }
        }
        for (uint32_t g = 0; g < Groups; ++g)
            decode_panel<Format>(a.layout, w + g * group_stride, first, cols, Groups * group_stride,
                                 decoded + g * kDecodedStride);
        for (uint32_t t = 0; t < tokens; t += kTileSlots) {
            const uint32_t count = tokens - t < kTileSlots ? tokens - t : kTileSlots;
            precise_slots<FormatF32, false, Groups>(
                count, reinterpret_cast<const uint8_t*>(decoded), kDecodedStride * sizeof(float),
                cols, x + t * a.x_stride, a.x_stride, total + t);
        }
    }
    for (uint32_t g = 0; g < Groups; ++g)
        for (uint32_t t = 0; t < tokens; ++t)
            finish(a, group + g, token + t, total[g * kPanelTokens + t]);
}

template <class Format>
void matmul_precise(const MatmulArgs& a) {
    const size_t stride = packed_group_bytes<Format>(a);
    for (uint32_t panel = a.token_begin; panel < a.token_end; panel += kPanelTokens) {
        const uint32_t left = a.token_end - panel;
        const uint32_t tokens = left < kPanelTokens ? left : kPanelTokens;
        for (uint32_t group = a.group_begin; group < a.group_end;) {
            const uint8_t* w = static_cast<const uint8_t*>(a.weights) + group * stride;
            const uint32_t rest = a.group_end - group;
            const uint32_t most = tokens == 1 ? kLoneTokenGroups : kTileGroups;
            if constexpr (kLoneTokenGroups == 4) {
                if (rest >= 4 && most == 4) {
                    precise_groups<Format, 4>(a, w, stride, group, panel, tokens);
                    group += 4;
                    continue;
                }
            }
            precise_groups<Format, 1>(a, w, stride, group, panel, tokens);
            group += 1;
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
