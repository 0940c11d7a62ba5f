#include "kernels/include/tenon/kernels/peak.h"

namespace tenon::kernels {

namespace isa_avx512 {
Peak peak_of(const float* logits, uint64_t count);
}  // namespace isa_avx512
namespace isa_avx2 {
Peak peak_of(const float* logits, uint64_t count);
}  // namespace isa_avx2
namespace isa_neon {
Peak peak_of(const float* logits, uint64_t count);
}  // namespace isa_neon
namespace isa_scalar {
Peak peak_of(const float* logits, uint64_t count);
}  // namespace isa_scalar

namespace {

constexpr PeakEntry kEntries[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, true, isa_avx512::peak_of},
    {Isa::kAvx2, true, isa_avx2::peak_of},
#elif defined(__aarch64__)
    {Isa::kNeon, true, isa_neon::peak_of},
#endif
    {Isa::kScalar, true, isa_scalar::peak_of},
};

}  // namespace

const PeakEntry* peak_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const PeakEntry* find_peak(Isa isa) noexcept {
    for (const PeakEntry& entry : kEntries)
        if (entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
