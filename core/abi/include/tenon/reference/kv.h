// The KV pool of the references: one contiguous array of floats, each the number that its dtype stores.
//
// Key and value of one token and head are rounded on the way in, after rotation, to the nearest number
// of the dtype, ties to even:
//   F32            as it is
//   F16, BF16      IEEE: overflow gives infinity
//   F8_E4M3, E5M2  OCP: numbers beyond the largest, 448 and 57344, and infinities become it; subnormals
//                  are kept; NaN stays NaN
//   I8             scale = max |x| / 127 over the elements of this key, or value, of one token and head;
//                  code = x / scale to the nearest integer, at most 127 in magnitude; the number is
//                  code * scale. Float operations, in this order; scale 0 gives zeros. One NaN or infinity
//                  makes all elements NaN.
// Where a backend keeps scales is its own matter; tenon_kv_info.block_bytes counts them.
#pragma once

#include <tenon/abi.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

namespace tenon::reference {

inline bool is_kv_dtype(uint32_t dtype) {
    switch (dtype) {
        case TENON_F32:
        case TENON_F16:
        case TENON_BF16:
        case TENON_F8_E4M3:
        case TENON_F8_E5M2:
        case TENON_I8: return true;
        default: return false;
    }
}

// A binary float of `mantissa` stored bits whose normal numbers start at 2^exponent_min.
struct SmallFloat {
    int mantissa;
    int exponent_min;
    float largest;
    bool saturates;  // instead of overflowing to infinity
};

inline float round_to(float x, const SmallFloat& type) {
    if (std::isnan(x)) return x;
    double rounded = x;
    if (std::isfinite(x) && x != 0) {
        const double quantum =
            std::ldexp(1.0, std::max(std::ilogb(x), type.exponent_min) - type.mantissa);
        rounded = std::nearbyint(x / quantum) * quantum;  // both exact but for the rounding
    }
    if (std::fabs(rounded) <= double{type.largest}) return static_cast<float>(rounded);
    return std::copysign(type.saturates ? type.largest : std::numeric_limits<float>::infinity(), x);
}

// A head of one token, as I8 stores it; `to` may be `from`.
inline void round_to_i8(const float* from, int64_t count, float* to) {
    float largest = 0;
    bool finite = true;
    for (int64_t i = 0; i < count; ++i) {
        finite = finite && std::isfinite(from[i]);
        largest = std::max(largest, std::fabs(from[i]));
    }
    const float scale = largest / 127.0f;
    for (int64_t i = 0; i < count; ++i) {
        const float code = scale > 0 ? std::nearbyint(from[i] / scale) : 0.0f;
        to[i] = std::min(std::max(code, -127.0f), 127.0f) * scale;
        if (!finite) to[i] = std::numeric_limits<float>::quiet_NaN();
    }
}

// `count` elements of one head of one token as `dtype` stores them; `to` may be `from`.
inline void round_to_kv(uint32_t dtype, const float* from, int64_t count, float* to) {
    if (dtype == TENON_I8) return round_to_i8(from, count, to);
    SmallFloat type{};
    switch (dtype) {
        case TENON_F16: type = {10, -14, 65504.0f, false}; break;
        case TENON_BF16: type = {7, -126, 0x1.fep127f, false}; break;
        case TENON_F8_E4M3: type = {3, -6, 448.0f, true}; break;
        case TENON_F8_E5M2: type = {2, -14, 57344.0f, true}; break;
        default: break;
    }
    for (int64_t i = 0; i < count; ++i)
        to[i] = type.largest > 0 ? round_to(from[i], type) : from[i];
}

// Layout [layer][block][keys, then values][head][place in block][element]. Borrows `data`, which holds
// elements() floats. Backends choose their own layout; only the numbers must agree.
struct ReferenceKv {
    float* data = nullptr;
    uint32_t n_layers = 0;
    uint32_t n_kv_heads = 0;
    uint32_t dim_k = 0;
    uint32_t dim_v = 0;
    uint32_t block_tokens = 0;
    uint32_t n_blocks = 0;
    uint32_t dtype = TENON_F32;

    // Elements of one block of one layer.
    int64_t block_elements() const {
        return int64_t{n_kv_heads} * block_tokens * (int64_t{dim_k} + dim_v);
    }
    int64_t elements() const { return int64_t{n_layers} * n_blocks * block_elements(); }

    // dim_k floats. `slot` is block * block_tokens + place.
    float* key(uint32_t layer, int64_t slot, uint32_t head) const {
        return block(layer, slot) + (int64_t{head} * block_tokens + slot % block_tokens) * dim_k;
    }
    // dim_v floats.
    float* value(uint32_t layer, int64_t slot, uint32_t head) const {
        return block(layer, slot) + int64_t{n_kv_heads} * block_tokens * dim_k +
               (int64_t{head} * block_tokens + slot % block_tokens) * dim_v;
    }

private:
    float* block(uint32_t layer, int64_t slot) const {
        return data + (int64_t{layer} * n_blocks + slot / block_tokens) * block_elements();
    }
};

}  // namespace tenon::reference
