// Rotary position embedding: the table of inverse frequencies, with its scaling already applied.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::model {

// inv_freq[i] = base^(-2i / rope_dim) / linear_factor / factors[i], i < rope_dim / 2. `factors` is
// empty or holds rope_dim / 2 divisors: Llama 3's scaling comes stored this way
// (rope_freqs.weight). kData when a factor is not a finite number above zero.
Result<std::vector<float>> inverse_frequencies(float base, uint32_t rope_dim, float linear_factor,
                                               std::span<const float> factors);

}  // namespace tenon::model
