#include "kernels/include/tenon/kernels/kv.h"

namespace tenon::kernels {

namespace isa_avx512 {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void kv_write(const KvWriteArgs&);
}  // namespace isa_avx512
namespace isa_avx2 {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void kv_write(const KvWriteArgs&);
}  // namespace isa_avx2
namespace isa_neon {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void kv_write(const KvWriteArgs&);
}  // namespace isa_neon
namespace isa_scalar {
struct KvF32;
struct KvF16;
struct KvBf16;
struct KvF8E4m3;
struct KvF8E5m2;
struct KvI8;
template <class Type>
void kv_write(const KvWriteArgs&);
}  // namespace isa_scalar

namespace {

constexpr const char* kNames[kKvTypeCount] = {"f32", "f16", "bf16", "f8_e4m3", "f8_e5m2", "i8"};

constexpr KvEntry kEntries[] = {
#if defined(__x86_64__)
    {KvType::kF32, Isa::kAvx512, true, isa_avx512::kv_write<isa_avx512::KvF32>},
    {KvType::kF16, Isa::kAvx512, true, isa_avx512::kv_write<isa_avx512::KvF16>},
    {KvType::kBf16, Isa::kAvx512, true, isa_avx512::kv_write<isa_avx512::KvBf16>},
    {KvType::kF8E4m3, Isa::kAvx512, true, isa_avx512::kv_write<isa_avx512::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kAvx512, true, isa_avx512::kv_write<isa_avx512::KvF8E5m2>},
    {KvType::kI8, Isa::kAvx512, true, isa_avx512::kv_write<isa_avx512::KvI8>},
    {KvType::kF32, Isa::kAvx2, true, isa_avx2::kv_write<isa_avx2::KvF32>},
    {KvType::kF16, Isa::kAvx2, true, isa_avx2::kv_write<isa_avx2::KvF16>},
    {KvType::kBf16, Isa::kAvx2, true, isa_avx2::kv_write<isa_avx2::KvBf16>},
    {KvType::kF8E4m3, Isa::kAvx2, true, isa_avx2::kv_write<isa_avx2::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kAvx2, true, isa_avx2::kv_write<isa_avx2::KvF8E5m2>},
    {KvType::kI8, Isa::kAvx2, true, isa_avx2::kv_write<isa_avx2::KvI8>},
#elif defined(__aarch64__)
    {KvType::kF32, Isa::kNeon, true, isa_neon::kv_write<isa_neon::KvF32>},
    {KvType::kF16, Isa::kNeon, true, isa_neon::kv_write<isa_neon::KvF16>},
    {KvType::kBf16, Isa::kNeon, true, isa_neon::kv_write<isa_neon::KvBf16>},
    {KvType::kF8E4m3, Isa::kNeon, true, isa_neon::kv_write<isa_neon::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kNeon, true, isa_neon::kv_write<isa_neon::KvF8E5m2>},
    {KvType::kI8, Isa::kNeon, true, isa_neon::kv_write<isa_neon::KvI8>},
#endif
    {KvType::kF32, Isa::kScalar, true, isa_scalar::kv_write<isa_scalar::KvF32>},
    {KvType::kF16, Isa::kScalar, true, isa_scalar::kv_write<isa_scalar::KvF16>},
    {KvType::kBf16, Isa::kScalar, true, isa_scalar::kv_write<isa_scalar::KvBf16>},
    {KvType::kF8E4m3, Isa::kScalar, true, isa_scalar::kv_write<isa_scalar::KvF8E4m3>},
    {KvType::kF8E5m2, Isa::kScalar, true, isa_scalar::kv_write<isa_scalar::KvF8E5m2>},
    {KvType::kI8, Isa::kScalar, true, isa_scalar::kv_write<isa_scalar::KvI8>},
};

}  // namespace

const char* kv_type_name(KvType type) noexcept { return kNames[static_cast<size_t>(type)]; }

const KvEntry* kv_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const KvEntry* find_kv(KvType type, Isa isa) noexcept {
    for (const KvEntry& entry : kEntries)
        if (entry.type == type && entry.isa <= isa) return &entry;
    return nullptr;
}

}  // namespace tenon::kernels
