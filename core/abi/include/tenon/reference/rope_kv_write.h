// ROPE_KV_WRITE: rotate q and k, write k and v into the KV pool.
//
// q, q_out: [tokens, n_q_heads * dim_k]; k: [tokens, n_kv_heads * dim_k]; v: [tokens, n_kv_heads * dim_v];
// positions, kv_slot: [tokens]; inv_freq: [rope_dim / 2]; q_gain, k_gain: [dim_k] or null.
// With a gain each head is RMS-normed first (epsilon qk_norm_epsilon). The angle of pair i is
// float(position) * inv_freq[i], a float product; cos and sin are taken in double and scaled by mscale.
// Elements from rope_dim on are copied. A negative kv_slot writes nothing; the others name distinct
// slots below n_blocks * block_tokens. What is written is rounded to the pool's dtype (kv.h). Aliasing:
// q_out may be q.
#pragma once

#include <tenon/abi.h>
#include <tenon/reference/kv.h>
#include <tenon/reference/rms_norm.h>

#include <cmath>
#include <cstdint>

namespace tenon::reference {

// Rotates one head in place.
inline void rope_head(float* head, int32_t position, const float* inv_freq,
                      const tenon_attr_rope_kv_write& attr) {
    if (attr.style == TENON_ROPE_NONE) return;
    const uint32_t pairs = attr.rope_dim / 2;
    for (uint32_t i = 0; i < pairs; ++i) {
        const float angle = static_cast<float>(position) * inv_freq[i];
        const double cosine = std::cos(static_cast<double>(angle)) * attr.mscale;
        const double sine = std::sin(static_cast<double>(angle)) * attr.mscale;
        const bool interleaved = attr.style == TENON_ROPE_INTERLEAVED;
        float& a = head[interleaved ? 2 * i : i];
        float& b = head[interleaved ? 2 * i + 1 : i + pairs];
        const double x = a;
        const double y = b;
        a = static_cast<float>(x * cosine - y * sine);
        b = static_cast<float>(x * sine + y * cosine);
    }
}

inline void rope_kv_write(const float* q, const float* k, const float* v, const int32_t* positions,
                          const int32_t* kv_slot, const float* inv_freq, const ReferenceKv& kv,
                          const float* q_gain, const float* k_gain, int64_t tokens,
                          const tenon_attr_rope_kv_write& attr, float* q_out) {
    const int64_t dim_k = attr.dim_k;
    const int64_t dim_v = attr.dim_v;
    const auto prepare_head = [&](const float* from, const float* gain, int32_t position,
                                  float* to) {
        for (int64_t c = 0; c < dim_k; ++c)
            to[c] = from[c];
        if (gain != nullptr) rms_norm_row(to, gain, dim_k, attr.qk_norm_epsilon, 0.0f, to);
        rope_head(to, position, inv_freq, attr);
    };
    for (int64_t t = 0; t < tokens; ++t) {
        for (uint32_t h = 0; h < attr.n_q_heads; ++h) {
            const int64_t at = (t * attr.n_q_heads + h) * dim_k;
            prepare_head(q + at, q_gain, positions[t], q_out + at);
        }
        if (kv_slot[t] < 0) continue;
        for (uint32_t h = 0; h < attr.n_kv_heads; ++h) {
            const int64_t head = t * attr.n_kv_heads + h;
            float* key = kv.key(attr.layer, kv_slot[t], h);
            prepare_head(k + head * dim_k, k_gain, positions[t], key);
            round_to_kv(kv.dtype, key, dim_k, key);
            round_to_kv(kv.dtype, v + head * dim_v, dim_v, kv.value(attr.layer, kv_slot[t], h));
        }
    }
}

}  // namespace tenon::reference
