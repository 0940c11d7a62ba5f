#include "kernels/include/tenon/kernels/attention.h"

namespace tenon::kernels {

namespace isa_avx512 {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void attend(const AttentionArgs&);
}  // namespace isa_avx512
namespace isa_avx2 {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void attend(const AttentionArgs&);
}  // namespace isa_avx2
namespace isa_neon {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void attend(const AttentionArgs&);
}  // namespace isa_neon
namespace isa_scalar {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void attend(const AttentionArgs&);
}  // namespace isa_scalar

namespace {

constexpr AttentionEntry kEntries[] = {
#if defined(__x86_64__)
    {KvType::kF32, Isa::kAvx512, true, isa_avx512::attend<isa_avx512::KvF32>},
    {KvType::kF16, Isa::kAvx512, true, isa_avx512::attend<isa_avx512::KvF16>},
    {KvType::kBf16, Isa::kAvx512, true, isa_avx512::attend<isa_avx512::KvBf16>},
    {KvType::kF8E4m3, Isa::kAvx512, true, isa_avx512::attend<isa_avx512::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kAvx512, true, isa_avx512::attend<isa_avx512::KvF8E5m2>},
    {KvType::kI8, Isa::kAvx512, true, isa_avx512::attend<isa_avx512::KvI8>},
    {KvType::kF32, Isa::kAvx2, true, isa_avx2::attend<isa_avx2::KvF32>},
    {KvType::kF16, Isa::kAvx2, true, isa_avx2::attend<isa_avx2::KvF16>},
    {KvType::kBf16, Isa::kAvx2, true, isa_avx2::attend<isa_avx2::KvBf16>},
    {KvType::kF8E4m3, Isa::kAvx2, true, isa_avx2::attend<isa_avx2::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kAvx2, true, isa_avx2::attend<isa_avx2::KvF8E5m2>},
    {KvType::kI8, Isa::kAvx2, true, isa_avx2::attend<isa_avx2::KvI8>},
#elif defined(__aarch64__)
    {KvType::kF32, Isa::kNeon, true, isa_neon::attend<isa_neon::KvF32>},
    {KvType::kF16, Isa::kNeon, true, isa_neon::attend<isa_neon::KvF16>},
    {KvType::kBf16, Isa::kNeon, true, isa_neon::attend<isa_neon::KvBf16>},
    {KvType::kF8E4m3, Isa::kNeon, true, isa_neon::attend<isa_neon::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kNeon, true, isa_neon::attend<isa_neon::KvF8E5m2>},
    {KvType::kI8, Isa::kNeon, true, isa_neon::attend<isa_neon::KvI8>},
#endif
    {KvType::kF32, Isa::kScalar, true, isa_scalar::attend<isa_scalar::KvF32>},
    {KvType::kF16, Isa::kScalar, true, isa_scalar::attend<isa_scalar::KvF16>},
    {KvType::kBf16, Isa::kScalar, true, isa_scalar::attend<isa_scalar::KvBf16>},
    {KvType::kF8E4m3, Isa::kScalar, true, isa_scalar::attend<isa_scalar::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kScalar, true, isa_scalar::attend<isa_scalar::KvF8E5m2>},
    {KvType::kI8, Isa::kScalar, true, isa_scalar::attend<isa_scalar::KvI8>},
};

}  // namespace

const AttentionEntry* attention_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const AttentionEntry* find_attention(KvType type, Isa isa) noexcept {
    for (const AttentionEntry& entry : kEntries)
        if (entry.type == type && entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
