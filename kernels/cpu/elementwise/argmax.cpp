#include "kernels/include/tenon/kernels/elementwise.h"

namespace tenon::kernels {

uint32_t argmax(const float* logits, uint64_t count) noexcept {
    // Chunks keep the running maximum in vector registers; the index is looked up once, at the end.
    constexpr uint64_t kChains = 16;
    float largest[kChains];
    for (float& chain : largest) chain = -__builtin_inff();
    uint64_t i = 0;
    for (; i + kChains <= count; i += kChains)
        for (uint64_t c = 0; c < kChains; ++c)
            largest[c] = logits[i + c] > largest[c] ? logits[i + c] : largest[c];
    float best = -__builtin_inff();
    for (; i < count; ++i) best = logits[i] > best ? logits[i] : best;
    for (float chain : largest) best = chain > best ? chain : best;
    for (uint64_t k = 0; k < count; ++k)
        if (logits[k] == best) return static_cast<uint32_t>(k);
    return 0;
}

} // namespace tenon::kernels
