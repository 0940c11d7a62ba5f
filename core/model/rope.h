// Rotary position embeddings: tables of inverse frequencies with their scaling already applied.
#pragma once

#include "core/base/result.h"
#include "core/model/metadata.h"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace tenon::model {

// One rotary embedding of a model; layers may share it.
struct Rope {
    std::string name = "rope_inv_freq";  // of its table among the weights
    uint32_t dims = 0;                   // rotated elements of a head, even
    std::vector<float> inv_freq;         // dims / 2
    std::vector<float> inv_freq_long;    // for contexts above original_context; empty: inv_freq
    uint32_t original_context = 0;       // positions before the scaling
    float mscale = 1;                    // of cos and sin
};

// inv_freq[i] = base^(-2i / dims) / linear_factor / factors[i], i < dims / 2. `factors` is empty or
// holds dims / 2 divisors from the tensor `source`. kData when one is not a finite number above
// zero.
Result<std::vector<float>> inverse_frequencies(float base, uint32_t dims, float linear_factor,
                                               std::span<const float> factors,
                                               std::string_view source);

// YaRN: dimensions that turn more than beta_fast times in original_context keep their frequency,
// those that turn less than beta_slow times have it divided by `factor`, between them linearly.
struct Yarn {
    float factor = 1;
    float beta_fast = 32;
    float beta_slow = 1;
    uint32_t original_context = 0;
};
std::vector<float> yarn_frequencies(float base, uint32_t dims, const Yarn& yarn);

// 0.1 weight ln(factor) + 1, the scale of cos and sin that YaRN wants; 1 without stretching.
float yarn_mscale(float factor, float weight);

// The rotary embedding that the keys rope.* and the tensors rope_freqs.weight (Llama 3) or
// rope_factors_short.weight and rope_factors_long.weight (LongRoPE) describe. Heads have `dim_k`
// elements; the model was trained for `context` positions.
Result<Rope> read_rope(const Metadata& metadata, uint32_t dim_k, uint32_t context);

}  // namespace tenon::model
