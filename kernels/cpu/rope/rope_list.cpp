#include "kernels/include/tenon/kernels/rope.h"

namespace tenon::kernels {

namespace isa_avx512 {
void rope(const RopeArgs&);
}  // namespace isa_avx512
namespace isa_avx2 {
void rope(const RopeArgs&);
}  // namespace isa_avx2
namespace isa_neon {
void rope(const RopeArgs&);
}  // namespace isa_neon
namespace isa_scalar {
void rope(const RopeArgs&);
}  // namespace isa_scalar

namespace {

constexpr RopeEntry kEntries[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, true, isa_avx512::rope},
    {Isa::kAvx2, true, isa_avx2::rope},
#elif defined(__aarch64__)
    {Isa::kNeon, true, isa_neon::rope},
#endif
    {Isa::kScalar, true, isa_scalar::rope},
};

}  // namespace

const RopeEntry* rope_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const RopeEntry* find_rope(Isa isa) noexcept {
    for (const RopeEntry& entry : kEntries)
        if (entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
