#pragma once

#include "kernels/cpu/kv/kv-inl.h"
#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/attention.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

constexpr uint32_t kTilePositions = 64;
constexpr uint32_t kTileGroups = kTilePositions / kLanes;
// Rows of a register tile. Plain C++ has no registers to tile: one row keeps its code small.
constexpr uint32_t kQueries = TENON_ISA_LEVEL == 0 ? 1 : 4;
constexpr uint32_t kScoreGroups = TENON_ISA_LEVEL == 2 ? 2 : 1;   // K vectors of a register tile
constexpr uint32_t kValueVectors = TENON_ISA_LEVEL == 2 ? 4 : 1;  // V vectors of a register tile

// State of up to kQueries (token, head) rows that share one KV head.
struct QueryTile {
    alignas(64) float q[kHeadDimMax * kQueries];    // [dim][query], scaled
    alignas(64) float out[kQueries][kHeadDimMax];   // unnormalised
    alignas(64) float p[kQueries][kTilePositions];  // scores, then weights
    F sum[kQueries];
    float largest[kQueries];
    uint32_t begin[kQueries], end[kQueries];  // positions seen
    uint32_t begin_min, end_max;
};

TENON_INLINE float exp_one(float x) {
    float lane[kLanes];
    store(lane, exp_lanes(set(x)));
    return lane[0];
}

// Lane range of [begin, end) inside the 16 positions from `first`.
TENON_INLINE uint32_t lane_of(uint32_t position, uint32_t first) {
    const uint32_t lane = position > first ? position - first : 0;
    return lane < kLanes ? lane : kLanes;
}

// The head's part of the block that holds `position`: K, V, scales.
template <class Type>
TENON_INLINE const typename Type::Element* head_of(const AttentionArgs& a, uint32_t kv_head,
                                                   uint32_t position) {
    const uint64_t block = static_cast<uint32_t>(a.block_table[position / a.geometry.block_tokens]);
    return reinterpret_cast<const typename Type::Element*>(
        static_cast<const uint8_t*>(a.layer) + block * kv_block_bytes(Type::kType, a.geometry) +
        kv_head * kv_head_bytes(Type::kType, a.geometry));
}

// Scales of the keys (row 0) or values (row 1) of the 16 positions from `position`, a multiple of 16.
template <class Type>
TENON_INLINE F scales_of(const AttentionArgs& a, uint32_t kv_head, uint32_t position,
                         uint32_t row) {
    const KvGeometry& g = a.geometry;
    const float* scales =
        reinterpret_cast<const float*>(head_of<Type>(a, kv_head, position) + kv_head_size(g));
    return load(scales + uint64_t{row} * g.block_tokens + position % g.block_tokens);
}

// Scores of Groups groups of 16 positions from `first` on; masked lanes become -inf.
template <class Type, uint32_t Queries, uint32_t Groups>
TENON_INLINE void score_groups(const AttentionArgs& a, QueryTile& tile, uint32_t kv_head,
                               uint32_t tile_first, uint32_t first) {
    const typename Type::Element* k[Groups];
    for (uint32_t g = 0; g < Groups; ++g) {
        const uint32_t position = first + g * kLanes;
        k[g] = head_of<Type>(a, kv_head, position) +
               uint64_t{position % a.geometry.block_tokens} * a.geometry.dim_k;
    }
    F score[Groups][Queries];
#pragma GCC unroll 2
    for (uint32_t g = 0; g < Groups; ++g)
#pragma GCC unroll 4
        for (uint32_t i = 0; i < Queries; ++i)
            score[g][i] = zero();
    const float* q = tile.q;
    for (uint32_t d = 0; d < a.geometry.dim_k; ++d, q += Queries) {
#pragma GCC unroll 2
        for (uint32_t g = 0; g < Groups; ++g) {
            const F keys = Type::load_16(k[g] + size_t{d} * kLanes);
#pragma GCC unroll 4
            for (uint32_t i = 0; i < Queries; ++i)
                score[g][i] = fma_lanes(keys, set(q[i]), score[g][i]);
        }
    }
#pragma GCC unroll 2
    for (uint32_t g = 0; g < Groups; ++g) {
        const uint32_t position = first + g * kLanes;
#pragma GCC unroll 4
        for (uint32_t i = 0; i < Queries; ++i) {
            F s = score[g][i];
            if constexpr (Type::kScaled) s = mul(s, scales_of<Type>(a, kv_head, position, 0));
            if (a.softcap > 0.0f) s = mul(tanh_lanes(div_lanes(s, set(a.softcap))), set(a.softcap));
            s = select_range(s, lane_of(tile.begin[i], position), lane_of(tile.end[i], position),
                             set(-__builtin_inff()));
            store(tile.p[i] + (position - tile_first), s);
        }
    }
}

// out += p v over positions [begin, end) of the tile, dims [dim, dim + Vectors * 16).
template <class Type, uint32_t Queries, uint32_t Vectors>
TENON_INLINE void add_values(const AttentionArgs& a, QueryTile& tile, uint32_t kv_head,
                             uint32_t tile_first, uint32_t begin, uint32_t end, uint32_t dim,
                             const float* correction) {
    F total[Queries][Vectors];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < Queries; ++i)
#pragma GCC unroll 4
        for (uint32_t j = 0; j < Vectors; ++j)
            total[i][j] = mul(load(tile.out[i] + dim + j * kLanes), set(correction[i]));
    const uint32_t row = padded_dim(a.geometry.dim_v);
    uint32_t position = begin;
    while (position < end) {
        const uint32_t place = position % a.geometry.block_tokens;
        const uint32_t left = a.geometry.block_tokens - place;
        const uint32_t count = left < end - position ? left : end - position;
        const typename Type::Element* v = head_of<Type>(a, kv_head, position) +
                                          k_head_size(a.geometry) + uint64_t{place} * row + dim;
        const float* p = tile.p[0] + (position - tile_first);
        for (uint32_t n = 0; n < count; ++n, v += row, ++p) {
#pragma GCC unroll 4
            for (uint32_t j = 0; j < Vectors; ++j) {
                const F values = Type::load_16(v + j * kLanes);
#pragma GCC unroll 4
                for (uint32_t i = 0; i < Queries; ++i)
                    total[i][j] = fma_lanes(values, set(p[i * kTilePositions]), total[i][j]);
            }
        }
        position += count;
    }
#pragma GCC unroll 4
    for (uint32_t i = 0; i < Queries; ++i)
#pragma GCC unroll 4
        for (uint32_t j = 0; j < Vectors; ++j)
            store(tile.out[i] + dim + j * kLanes, total[i][j]);
}

template <class Type, uint32_t Queries>
TENON_INLINE void attend_tile(const AttentionArgs& a, QueryTile& tile, uint32_t kv_head,
                              uint32_t tile_first) {
    const uint32_t tile_end = tile_first + kTilePositions;
    const uint32_t begin = tile.begin_min > tile_first ? tile.begin_min : tile_first;
    const uint32_t end = tile.end_max < tile_end ? tile.end_max : tile_end;
    const uint32_t group_begin = begin / kLanes * kLanes;
    uint32_t first = group_begin;
    for (; first + (kScoreGroups - 1) * kLanes < end; first += kScoreGroups * kLanes)
        score_groups<Type, Queries, kScoreGroups>(a, tile, kv_head, tile_first, first);
    for (; first < end; first += kLanes)
        score_groups<Type, Queries, 1>(a, tile, kv_head, tile_first, first);
    float correction[Queries];
    for (uint32_t i = 0; i < Queries; ++i) {
        F top = set(-__builtin_inff());
        for (uint32_t g = group_begin; g < end; g += kLanes)
            top = max_lanes(load(tile.p[i] + (g - tile_first)), top);
        const float found = largest_lane(top);
        const float largest = found > tile.largest[i] ? found : tile.largest[i];
        const float base = largest > -__builtin_inff() ? largest : 0.0f;
        correction[i] = tile.largest[i] == largest ? 1.0f : exp_one(tile.largest[i] - base);
        F sum = mul(tile.sum[i], set(correction[i]));
        for (uint32_t g = group_begin; g < end; g += kLanes) {
            float* p = tile.p[i] + (g - tile_first);
            const F weight = exp_lanes(sub(load(p), set(base)));
            sum = add(sum, weight);
            if constexpr (Type::kScaled)
                store(p, mul(weight, scales_of<Type>(a, kv_head, g, 1)));
            else
                store(p, weight);
        }
        tile.sum[i] = sum;
        tile.largest[i] = largest;
    }
    const uint32_t dims = padded_dim(a.geometry.dim_v);
    uint32_t dim = 0;
    for (; dim + kValueVectors * kLanes <= dims; dim += kValueVectors * kLanes)
        add_values<Type, Queries, kValueVectors>(a, tile, kv_head, tile_first, begin, end, dim,
                                                 correction);
    for (; dim < dims; dim += kLanes)
        add_values<Type, Queries, 1>(a, tile, kv_head, tile_first, begin, end, dim, correction);
}

// Rows [row, row + Queries) of the (token, head) list, head running fastest.
template <class Type, uint32_t Queries>
void attend_rows(const AttentionArgs& a, QueryTile& tile, uint32_t kv_head, uint32_t row) {
    const uint32_t heads = a.head_end - a.head_begin;
    const KvGeometry& g = a.geometry;
    tile.begin_min = UINT32_MAX;
    tile.end_max = 0;
    uint32_t token[Queries];
    uint32_t head[Queries];
    for (uint32_t i = 0; i < Queries; ++i) {
        token[i] = a.token_begin + (row + i) / heads;
        head[i] = a.head_begin + (row + i) % heads;
        const float* q = a.q + token[i] * a.q_stride + size_t{head[i]} * g.dim_k;
        for (uint32_t d = 0; d < g.dim_k; ++d)
            tile.q[d * Queries + i] = q[d] * (a.scale * Type::kFactor);
        for (uint32_t d = 0; d < padded_dim(g.dim_v); ++d)
            tile.out[i][d] = 0.0f;
        tile.sum[i] = zero();
        tile.largest[i] = -__builtin_inff();
        tile.end[i] = a.first_position + token[i] + 1;
        tile.begin[i] = a.window > 0 && tile.end[i] > a.window ? tile.end[i] - a.window : 0;
        tile.begin_min = tile.begin[i] < tile.begin_min ? tile.begin[i] : tile.begin_min;
        tile.end_max = tile.end[i] > tile.end_max ? tile.end[i] : tile.end_max;
    }
    for (uint32_t first = tile.begin_min / kTilePositions * kTilePositions; first < tile.end_max;
         first += kTilePositions)
        attend_tile<Type, Queries>(a, tile, kv_head, first);
    for (uint32_t i = 0; i < Queries; ++i) {
        float total = sum_lanes(tile.sum[i]);
        float factor = 1.0f;
        if (a.sinks != nullptr) {
            const float sink = a.sinks[head[i]];
            const float largest = sink > tile.largest[i] ? sink : tile.largest[i];
            factor = exp_one(tile.largest[i] - largest);
            total = total * factor + exp_one(sink - largest);
        }
        const float inverse = factor / total * Type::kFactor;
        float* out = a.out + token[i] * a.out_stride + size_t{head[i]} * g.dim_v;
        for (uint32_t d = 0; d < g.dim_v; d += kLanes)
            store_first(out + d, mul(load(tile.out[i] + d), set(inverse)), g.dim_v - d);
    }
}

template <class Type>
void attend(const AttentionArgs& a) {
    QueryTile tile;
    const uint32_t kv_head = a.head_begin / (a.q_heads / a.geometry.kv_heads);
    const uint32_t rows = (a.token_end - a.token_begin) * (a.head_end - a.head_begin);
    uint32_t row = 0;
    for (; row + kQueries <= rows; row += kQueries)
        attend_rows<Type, kQueries>(a, tile, kv_head, row);
    if constexpr (kQueries == 4) {
        if (rows - row == 3) attend_rows<Type, 3>(a, tile, kv_head, row);
        if (rows - row == 2) attend_rows<Type, 2>(a, tile, kv_head, row);
        if (rows - row == 1) attend_rows<Type, 1>(a, tile, kv_head, row);
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
