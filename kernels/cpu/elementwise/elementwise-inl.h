#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/elementwise.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

struct Silu {
    TENON_INLINE F operator()(F x) const {
        return div_lanes(x, fma_lanes(set(1.0f), exp_lanes(sub(zero(), x)), set(1.0f)));
    }
};
struct GeluTanh {
    TENON_INLINE F operator()(F x) const {
        const F cube = mul(mul(x, x), mul(x, set(0.044715f)));
        const F inner = mul(add(x, cube), set(0.797884561f));  // sqrt(2 / pi)
        return mul(mul(x, set(0.5f)), add(set(1.0f), tanh_lanes(inner)));
    }
};
struct GeluErf {
    TENON_INLINE F operator()(F x) const {
        float lane[kLanes];
        store(lane, x);
        for (float& v : lane)
            v = 0.5f * v * (1.0f + __builtin_erff(v * 0.707106781f));
        return load(lane);
    }
};
struct Identity {
    TENON_INLINE F operator()(F x) const { return x; }
};

template <class Map>
TENON_INLINE void map_range(const ElementwiseArgs& a, const Map& map) {
    uint64_t at = 0;
    for (; at + kLanes <= a.count; at += kLanes)
        store(a.out + at, map(a, at, kLanes));
    const uint32_t rest = static_cast<uint32_t>(a.count - at);
    if (rest > 0) store_first(a.out + at, map(a, at, rest), rest);
}

template <class Apply>
TENON_INLINE void with_activation(Activation activation, const Apply& apply) {
    switch (activation) {
        case Activation::kSilu: return apply(Silu{});
        case Activation::kGeluTanh: return apply(GeluTanh{});
        case Activation::kGeluErf: return apply(GeluErf{});
        case Activation::kNone: return apply(Identity{});
    }
}

void add_range(const ElementwiseArgs& args) {
    map_range(args, [](const ElementwiseArgs& a, uint64_t at, uint32_t n) {
        return add(load_first(a.x + at, n), load_first(a.other + at, n));
    });
}
void mul_range(const ElementwiseArgs& args) {
    map_range(args, [](const ElementwiseArgs& a, uint64_t at, uint32_t n) {
        return mul(load_first(a.x + at, n), load_first(a.other + at, n));
    });
}
void activate_range(const ElementwiseArgs& args) {
    with_activation(args.activation, [&](auto function) {
        map_range(args, [function](const ElementwiseArgs& a, uint64_t at, uint32_t n) {
            return function(load_first(a.x + at, n));
        });
    });
}
void glu_range(const ElementwiseArgs& args) {
    with_activation(args.activation, [&](auto function) {
        map_range(args, [function](const ElementwiseArgs& a, uint64_t at, uint32_t n) {
            return mul(function(load_first(a.x + at, n)), load_first(a.other + at, n));
        });
    });
}
void softcap_range(const ElementwiseArgs& args) {
    map_range(args, [](const ElementwiseArgs& a, uint64_t at, uint32_t n) {
        return mul(tanh_lanes(div_lanes(load_first(a.x + at, n), set(a.cap))), set(a.cap));
    });
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
