#include "core/model/rope.h"

#include <fmt/format.h>

#include <cmath>

namespace tenon::model {

Result<std::vector<float>> inverse_frequencies(float base, uint32_t rope_dim, float linear_factor,
                                               std::span<const float> factors) {
    const size_t n = rope_dim / 2;
    if (!factors.empty() && factors.size() != n) {
        return Error{Code::kData, fmt::format("rope_freqs.weight has {} factors; a rotation of {} "
                                              "dimensions needs {}",
                                              factors.size(), rope_dim, n)};
    }
    std::vector<float> table(n);
    for (size_t i = 0; i < n; ++i) {
        const float factor = factors.empty() ? 1.0f : factors[i];
        if (!(std::isfinite(factor) && factor > 0)) {
            return Error{Code::kData, fmt::format("rope_freqs.weight[{}] is {}; expected a finite "
                                                  "number above 0",
                                                  i, factor)};
        }
        const double exponent = -2.0 * static_cast<double>(i) / rope_dim;
        table[i] = static_cast<float>(std::pow(double{base}, exponent) / linear_factor / factor);
    }
    return table;
}

}  // namespace tenon::model
