#include "kernels/include/tenon/kernels/quantise.h"

namespace tenon::kernels {

namespace isa_avx512 {
void quantise(const QuantiseArgs&);
}  // namespace isa_avx512
namespace isa_avx2 {
void quantise(const QuantiseArgs&);
}  // namespace isa_avx2
namespace isa_neon {
void quantise(const QuantiseArgs&);
}  // namespace isa_neon
namespace isa_scalar {
void quantise(const QuantiseArgs&);
}  // namespace isa_scalar

namespace {

constexpr QuantiseEntry kEntries[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, true, isa_avx512::quantise},
    {Isa::kAvx2, true, isa_avx2::quantise},
#elif defined(__aarch64__)
    {Isa::kNeon, true, isa_neon::quantise},
#endif
    {Isa::kScalar, true, isa_scalar::quantise},
};

}  // namespace

const QuantiseEntry* quantise_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const QuantiseEntry* find_quantise(Isa isa) noexcept {
    for (const QuantiseEntry& entry : kEntries)
        if (entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
