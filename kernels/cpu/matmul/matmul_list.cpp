#include "kernels/include/tenon/kernels/matmul.h"

#if defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tenon::kernels {

#define TENON_DECLARE_MATMUL(ns)            \
    namespace ns {                          \
    struct FormatQ4_0;                      \
    struct FormatQ4_1;                      \
    struct FormatQ8_0;                      \
    struct FormatQ8_1;                      \
    struct FormatSuperS4;                   \
    struct FormatSuperU4;                   \
    struct FormatSuperS8;                   \
    struct FormatF32;                       \
    struct FormatF16;                       \
    struct FormatBf16;                      \
    template <class Format>                 \
    void matmul_fast(const MatmulArgs&);    \
    template <class Format>                 \
    void matmul_precise(const MatmulArgs&); \
    }

TENON_DECLARE_MATMUL(isa_avx512)
TENON_DECLARE_MATMUL(isa_avx2)
TENON_DECLARE_MATMUL(isa_i8mm)
TENON_DECLARE_MATMUL(isa_dotprod)
TENON_DECLARE_MATMUL(isa_neon)
TENON_DECLARE_MATMUL(isa_scalar)

namespace isa_avx512bf16 {
void matmul_rounded(const MatmulArgs&);
}  // namespace isa_avx512bf16
namespace isa_i8mmbf16 {
void matmul_rounded(const MatmulArgs&);
}  // namespace isa_i8mmbf16

namespace {

#define TENON_BOTH(format, isa, ns, type)                                \
    {                                                                    \
        PackedFormat::format, Isa::isa, true, ns::matmul_fast<ns::type>, \
            ns::matmul_precise<ns::type>, nullptr                        \
    }
#define TENON_PRECISE(format, isa, ns, type) \
    { PackedFormat::format, Isa::isa, true, nullptr, ns::matmul_precise<ns::type>, nullptr }
#define TENON_MATMUL_QUANTISED(isa, ns)                                                 \
    TENON_BOTH(kQ4_0, isa, ns, FormatQ4_0), TENON_BOTH(kQ4_1, isa, ns, FormatQ4_1),     \
        TENON_BOTH(kQ8_0, isa, ns, FormatQ8_0), TENON_BOTH(kQ8_1, isa, ns, FormatQ8_1), \
        TENON_BOTH(kSuperS4, isa, ns, FormatSuperS4),                                   \
        TENON_BOTH(kSuperU4, isa, ns, FormatSuperU4), TENON_BOTH(kSuperS8, isa, ns, FormatSuperS8)
#define TENON_MATMUL_FLOAT(isa, ns)                                                   \
    TENON_PRECISE(kF32, isa, ns, FormatF32), TENON_PRECISE(kF16, isa, ns, FormatF16), \
        TENON_PRECISE(kBf16, isa, ns, FormatBf16)

constexpr MatmulEntry kEntries[] = {
#if defined(__x86_64__)
    // kExtended entries: for processors with AVX512_BF16.
    {PackedFormat::kBf16, Isa::kAvx512, true, nullptr,
     isa_avx512::matmul_precise<isa_avx512::FormatBf16>, isa_avx512bf16::matmul_rounded},
    TENON_MATMUL_QUANTISED(kAvx512, isa_avx512),
    TENON_MATMUL_FLOAT(kAvx512, isa_avx512),
    TENON_MATMUL_QUANTISED(kAvx2, isa_avx2),
    TENON_MATMUL_FLOAT(kAvx2, isa_avx2),
#elif defined(__aarch64__)
    // kExtended entries: for processors with FEAT_BF16.
    {PackedFormat::kBf16, Isa::kI8mm, true, nullptr, isa_neon::matmul_precise<isa_neon::FormatBf16>,
     isa_i8mmbf16::matmul_rounded},
    TENON_MATMUL_QUANTISED(kI8mm, isa_i8mm),
    TENON_MATMUL_QUANTISED(kDotprod, isa_dotprod),
    TENON_MATMUL_QUANTISED(kNeon, isa_neon),
    TENON_MATMUL_FLOAT(kNeon, isa_neon),
#endif
    TENON_MATMUL_QUANTISED(kScalar, isa_scalar),
    TENON_MATMUL_FLOAT(kScalar, isa_scalar),
};

#if defined(__x86_64__)
constexpr uint32_t kExtended = 1;
bool has_extensions() { return __builtin_cpu_supports("avx512bf16"); }
#elif defined(__aarch64__)
constexpr uint32_t kExtended = 1;
bool has_extensions() { return (getauxval(AT_HWCAP2) & HWCAP2_BF16) != 0; }
#else
constexpr uint32_t kExtended = 0;
bool has_extensions() { return true; }
#endif

}  // namespace

const MatmulEntry* matmul_entries(uint32_t* count) noexcept {
    const uint32_t skipped = has_extensions() ? 0 : kExtended;
    *count = static_cast<uint32_t>(sizeof kEntries / sizeof kEntries[0]) - skipped;
    return kEntries + skipped;
}

const MatmulEntry* find_matmul(PackedFormat format, Isa isa) noexcept {
    const MatmulEntry* last = nullptr;
    uint32_t count = 0;
    const MatmulEntry* entries = matmul_entries(&count);
    for (uint32_t i = 0; i < count; ++i) {
        const MatmulEntry& entry = entries[i];
        if (entry.format != format) continue;
        if (entry.isa <= isa) return &entry;
        last = &entry;
    }
    return last;
}

}  // namespace tenon::kernels
