#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/kv.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

struct KvF32 {
    using Element = float;
    static TENON_INLINE F load_16(const float* p) { return load(p); }
    static TENON_INLINE void store_16(float* p, F a) { store(p, a); }
};
struct KvF16 {
    using Element = uint16_t;
    static TENON_INLINE F load_16(const uint16_t* p) { return load_half(p); }
    static TENON_INLINE void store_16(uint16_t* p, F a) { store_half(p, a); }
};

template <class Type>
void kv_write(const KvWriteArgs& a) {
    using Element = typename Type::Element;
    const KvGeometry& g = a.geometry;
    const uint64_t place = a.slot % g.block_tokens;
    Element* block = static_cast<Element*>(a.layer) + a.slot / g.block_tokens * kv_block_size(g);
    for (uint32_t head = 0; head < g.kv_heads; ++head) {
        Element* k = block + head * kv_head_size(g) + place / kLanes * kLanes * g.dim_k +
                     place % kLanes;
        const float* source = a.k + size_t{head} * g.dim_k;
        for (uint32_t at = 0; at < g.dim_k; at += kLanes) {
            Element lane[kLanes];
            Type::store_16(lane, load_first(source + at, g.dim_k - at));
            for (uint32_t i = 0; i < kLanes && at + i < g.dim_k; ++i)
                k[size_t{at + i} * kLanes] = lane[i];
        }
        Element* v = block + head * kv_head_size(g) + k_head_size(g) + place * padded_dim(g.dim_v);
        source = a.v + size_t{head} * g.dim_v;
        for (uint32_t at = 0; at < g.dim_v; at += kLanes)
            Type::store_16(v + at, load_first(source + at, g.dim_v - at));
    }
}

} // namespace tenon::kernels::TENON_ISA_NAMESPACE
