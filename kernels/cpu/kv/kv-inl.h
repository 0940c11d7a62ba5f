#pragma once

#include "kernels/cpu/simd/simd-inl.h"
#include "kernels/include/tenon/kernels/kv.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

// How an element type is read and written. load_16 gives the stored numbers, or codes, divided by
// kFactor; with kScaled they are still to be multiplied by the scale of their position.
struct KvF32 {
    using Element = float;
    static constexpr KvType kType = KvType::kF32;
    static constexpr float kFactor = 1.0f;
    static constexpr bool kScaled = false;
    static TENON_INLINE F load_16(const float* p) { return load(p); }
    static TENON_INLINE void store_16(float* p, F a) { store(p, a); }
};
struct KvF16 {
    using Element = uint16_t;
    static constexpr KvType kType = KvType::kF16;
    static constexpr float kFactor = 1.0f;
    static constexpr bool kScaled = false;
    static TENON_INLINE F load_16(const uint16_t* p) { return load_half(p); }
    static TENON_INLINE void store_16(uint16_t* p, F a) { store_half(p, a); }
};

TENON_INLINE uint32_t bits_of(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}

struct KvBf16 {
    using Element = uint16_t;
    static constexpr KvType kType = KvType::kBf16;
    static constexpr float kFactor = 1.0f;
    static constexpr bool kScaled = false;
    static TENON_INLINE F load_16(const uint16_t* p) { return load_bfloat(p); }
    static TENON_INLINE void store_16(uint16_t* p, F a) {
        float lane[kLanes];
        store(lane, a);
        for (uint32_t i = 0; i < kLanes; ++i) {
            const uint32_t bits = bits_of(lane[i]);
            const uint32_t rounded = bits + 0x7fffu + (bits >> 16 & 1u);
            const bool nan = (bits & 0x7fffffffu) > 0x7f800000u;
            p[i] = static_cast<uint16_t>((nan ? bits | 0x400000u : rounded) >> 16);
        }
    }
};

// Sixteen codes of an OCP 8-bit float with Mantissa stored bits and Exponent the exponent of its
// smallest normal number; kNan is one of its NaNs.
template <int Mantissa, int Exponent, uint32_t kNan>
TENON_INLINE void store_small_floats(uint8_t* p, F a, float largest) {
    constexpr int kDrop = 23 - Mantissa;
    constexpr uint32_t kNormal = static_cast<uint32_t>(127 + Exponent) << 23;
    // Adding it leaves the multiple of the subnormals' quantum, rounded, in the low bits.
    constexpr uint32_t kMagic = static_cast<uint32_t>(127 + Exponent + kDrop) << 23;
    float magic;
    __builtin_memcpy(&magic, &kMagic, sizeof magic);
    float lane[kLanes];
    store(lane, a);
    for (uint32_t i = 0; i < kLanes; ++i) {
        const uint32_t bits = bits_of(lane[i]);
        const uint32_t rest = bits & 0x7fffffffu;
        const uint32_t limit = bits_of(largest);
        const uint32_t clamped = rest > limit ? limit : rest;
        float magnitude;
        __builtin_memcpy(&magnitude, &clamped, sizeof magnitude);
        const uint32_t small = bits_of(magnitude + magic) - kMagic;
        const uint32_t rounded = clamped + (1u << (kDrop - 1)) - 1u + (clamped >> kDrop & 1u);
        const uint32_t normal = (rounded - kNormal + (1u << 23)) >> kDrop;
        const uint32_t code = clamped < kNormal ? small : normal;
        p[i] = static_cast<uint8_t>((bits >> 24 & 0x80u) | (rest > 0x7f800000u ? kNan : code));
    }
}

struct KvF8E4m3 {
    using Element = uint8_t;
    static constexpr KvType kType = KvType::kF8E4m3;
    static constexpr float kFactor = 256.0f;
    static constexpr bool kScaled = false;
    static TENON_INLINE F load_16(const uint8_t* p) { return load_e4m3(p); }
    static TENON_INLINE void store_16(uint8_t* p, F a) {
        store_small_floats<3, -6, 0x7f>(p, a, 448.0f);
    }
};
struct KvF8E5m2 {
    using Element = uint8_t;
    static constexpr KvType kType = KvType::kF8E5m2;
    static constexpr float kFactor = 1.0f;
    static constexpr bool kScaled = false;
    static TENON_INLINE F load_16(const uint8_t* p) { return load_e5m2(p); }
    static TENON_INLINE void store_16(uint8_t* p, F a) {
        store_small_floats<2, -14, 0x7f>(p, a, 57344.0f);
    }
};
struct KvI8 {
    using Element = int8_t;
    static constexpr KvType kType = KvType::kI8;
    static constexpr float kFactor = 1.0f;
    static constexpr bool kScaled = true;
    static TENON_INLINE F load_16(const int8_t* p) { return load_int8(p); }
    static TENON_INLINE void store_16(int8_t* p, F a) { store_rounded_bytes(p, a); }
};

// The scale of `count` numbers and what they are divided by, which is never 0. A NaN or an infinity
// makes the scale NaN.
struct KvScale {
    float stored, divisor;
};
TENON_INLINE KvScale scale_of(const float* numbers, uint32_t count) {
    I largest = zero_int();
    for (uint32_t at = 0; at < count; at += kLanes)
        largest = magnitude_max(largest, load_first(numbers + at, count - at));
    const float magnitude = largest_magnitude(largest);
    if (!(magnitude < __builtin_inff())) return {__builtin_nanf(""), 1.0f};
    const float scale = magnitude / 127.0f;
    return {scale, scale > 0.0f ? scale : __builtin_inff()};
}
TENON_INLINE F codes_of(F numbers, float divisor) {
    return max_lanes(min_lanes(div_lanes(numbers, set(divisor)), set(127.0f)), set(-127.0f));
}

template <class Type>
void kv_write(const KvWriteArgs& a) {
    using Element = typename Type::Element;
    const KvGeometry& g = a.geometry;
    const uint64_t place = a.slot % g.block_tokens;
    uint8_t* block =
        static_cast<uint8_t*>(a.layer) + a.slot / g.block_tokens * kv_block_bytes(Type::kType, g);
    for (uint32_t head = 0; head < g.kv_heads; ++head) {
        Element* base = reinterpret_cast<Element*>(block + head * kv_head_bytes(Type::kType, g));
        const float* keys = a.k + size_t{head} * g.dim_k;
        const float* values = a.v + size_t{head} * g.dim_v;
        KvScale of_key{}, of_value{};
        if constexpr (Type::kScaled) {
            of_key = scale_of(keys, g.dim_k);
            of_value = scale_of(values, g.dim_v);
            float* scales = reinterpret_cast<float*>(base + kv_head_size(g));
            scales[place] = of_key.stored;
            scales[g.block_tokens + place] = of_value.stored;
        }
        Element* k = base + place / kLanes * kLanes * g.dim_k + place % kLanes;
        for (uint32_t at = 0; at < g.dim_k; at += kLanes) {
            F numbers = load_first(keys + at, g.dim_k - at);
            if constexpr (Type::kScaled) numbers = codes_of(numbers, of_key.divisor);
            Element lane[kLanes];
            Type::store_16(lane, numbers);
            for (uint32_t i = 0; i < kLanes && at + i < g.dim_k; ++i)
                k[size_t{at + i} * kLanes] = lane[i];
        }
        Element* v = base + k_head_size(g) + place * padded_dim(g.dim_v);
        for (uint32_t at = 0; at < g.dim_v; at += kLanes) {
            F numbers = load_first(values + at, g.dim_v - at);
            if constexpr (Type::kScaled) numbers = codes_of(numbers, of_value.divisor);
            Type::store_16(v + at, numbers);
        }
    }
}

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
