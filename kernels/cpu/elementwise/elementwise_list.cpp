#include "kernels/include/tenon/kernels/elementwise.h"

namespace tenon::kernels {

namespace isa_avx512 {
void add_range(const ElementwiseArgs&);
void mul_range(const ElementwiseArgs&);
void activate_range(const ElementwiseArgs&);
void glu_range(const ElementwiseArgs&);
void softcap_range(const ElementwiseArgs&);
}  // namespace isa_avx512
namespace isa_avx2 {
void add_range(const ElementwiseArgs&);
void mul_range(const ElementwiseArgs&);
void activate_range(const ElementwiseArgs&);
void glu_range(const ElementwiseArgs&);
void softcap_range(const ElementwiseArgs&);
}  // namespace isa_avx2
namespace isa_neon {
void add_range(const ElementwiseArgs&);
void mul_range(const ElementwiseArgs&);
void activate_range(const ElementwiseArgs&);
void glu_range(const ElementwiseArgs&);
void softcap_range(const ElementwiseArgs&);
}  // namespace isa_neon
namespace isa_scalar {
void add_range(const ElementwiseArgs&);
void mul_range(const ElementwiseArgs&);
void activate_range(const ElementwiseArgs&);
void glu_range(const ElementwiseArgs&);
void softcap_range(const ElementwiseArgs&);
}  // namespace isa_scalar

namespace {

constexpr ElementwiseEntry kEntries[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, true, isa_avx512::add_range, isa_avx512::mul_range, isa_avx512::activate_range,
     isa_avx512::glu_range, isa_avx512::softcap_range},
    {Isa::kAvx2, true, isa_avx2::add_range, isa_avx2::mul_range, isa_avx2::activate_range,
     isa_avx2::glu_range, isa_avx2::softcap_range},
#elif defined(__aarch64__)
    {Isa::kNeon, true, isa_neon::add_range, isa_neon::mul_range, isa_neon::activate_range,
     isa_neon::glu_range, isa_neon::softcap_range},
#endif
    {Isa::kScalar, true, isa_scalar::add_range, isa_scalar::mul_range, isa_scalar::activate_range,
     isa_scalar::glu_range, isa_scalar::softcap_range},
};

}  // namespace

const ElementwiseEntry* elementwise_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const ElementwiseEntry* find_elementwise(Isa isa) noexcept {
    for (const ElementwiseEntry& entry : kEntries)
        if (entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
