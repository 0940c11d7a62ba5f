#include "kernels/include/tenon/kernels/norm.h"

namespace tenon::kernels {

namespace isa_avx512 {
void rms_norm(const NormArgs&);
}  // namespace isa_avx512
namespace isa_avx2 {
void rms_norm(const NormArgs&);
}  // namespace isa_avx2
namespace isa_neon {
void rms_norm(const NormArgs&);
}  // namespace isa_neon
namespace isa_scalar {
void rms_norm(const NormArgs&);
}  // namespace isa_scalar

namespace {

constexpr NormEntry kEntries[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, true, isa_avx512::rms_norm},
    {Isa::kAvx2, true, isa_avx2::rms_norm},
#elif defined(__aarch64__)
    {Isa::kNeon, true, isa_neon::rms_norm},
#endif
    {Isa::kScalar, true, isa_scalar::rms_norm},
};

}  // namespace

const NormEntry* norm_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const NormEntry* find_norm(Isa isa) noexcept {
    for (const NormEntry& entry : kEntries)
        if (entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
