#include <cmath>

#include "kernels/include/tenon/kernels/rope.h"

namespace tenon::kernels {

void fill_rope_table(const int32_t* positions, const float* inv_freq, uint32_t rope_dim,
                     RopeStyle style, float mscale, uint32_t begin, uint32_t end,
                     float* table) noexcept {
    const uint32_t half = rope_dim / 2;
    for (uint32_t token = begin; token < end; ++token) {
        float* cosine = table + uint64_t{token} * 2 * rope_dim;
        float* sine = cosine + rope_dim;
        for (uint32_t pair = 0; pair < half; ++pair) {
            const float angle = static_cast<float>(positions[token]) * inv_freq[pair];
            const float c = std::cos(angle) * mscale;
            const float s = std::sin(angle) * mscale;
            const bool halves = style == RopeStyle::kHalves;
            const uint32_t first = halves ? pair : 2 * pair;
            const uint32_t second = halves ? pair + half : first + 1;
            cosine[first] = c;
            cosine[second] = c;
            sine[first] = -s;
            sine[second] = s;
        }
    }
}

}  // namespace tenon::kernels
