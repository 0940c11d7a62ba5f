#include "kernels/include/tenon/kernels/draw.h"

namespace tenon::kernels {

namespace isa_avx512 {
uint64_t weigh(const DrawArgs& args, uint32_t* weights);
uint32_t contend(const DrawArgs& args, uint32_t begin, uint32_t end, float highest, uint32_t* ids);
}  // namespace isa_avx512
namespace isa_avx2 {
uint64_t weigh(const DrawArgs& args, uint32_t* weights);
uint32_t contend(const DrawArgs& args, uint32_t begin, uint32_t end, float highest, uint32_t* ids);
}  // namespace isa_avx2
namespace isa_neon {
uint64_t weigh(const DrawArgs& args, uint32_t* weights);
uint32_t contend(const DrawArgs& args, uint32_t begin, uint32_t end, float highest, uint32_t* ids);
}  // namespace isa_neon
namespace isa_scalar {
uint64_t weigh(const DrawArgs& args, uint32_t* weights);
uint32_t contend(const DrawArgs& args, uint32_t begin, uint32_t end, float highest, uint32_t* ids);
}  // namespace isa_scalar

namespace {

constexpr DrawEntry kEntries[] = {
#if defined(__x86_64__)
    {Isa::kAvx512, true, isa_avx512::weigh, isa_avx512::contend},
    {Isa::kAvx2, true, isa_avx2::weigh, isa_avx2::contend},
#elif defined(__aarch64__)
    {Isa::kNeon, true, isa_neon::weigh, isa_neon::contend},
#endif
    {Isa::kScalar, true, isa_scalar::weigh, isa_scalar::contend},
};

}  // namespace

const DrawEntry* draw_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const DrawEntry* find_draw(Isa isa) noexcept {
    for (const DrawEntry& entry : kEntries)
        if (entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
