#include "kernels/include/tenon/kernels/matmul.h"

namespace tenon::kernels {

#define TENON_DECLARE_MATMUL(ns)                                                                   \
    namespace ns {                                                                                 \
    struct FormatQ4_0;                                                                             \
    struct FormatQ4_1;                                                                             \
    struct FormatQ8_0;                                                                             \
    struct FormatF32;                                                                              \
    struct FormatF16;                                                                              \
    struct FormatBf16;                                                                             \
    template <class Format>                                                                        \
    void matmul_fast(const MatmulArgs&);                                                           \
    template <class Format>                                                                        \
    void matmul_precise(const MatmulArgs&);                                                        \
    }

TENON_DECLARE_MATMUL(isa_avx512)
TENON_DECLARE_MATMUL(isa_avx2)
TENON_DECLARE_MATMUL(isa_scalar)

namespace {

#define TENON_MATMUL_QUANTISED(format, isa, ns, type)                                              \
    {PackedFormat::format, Isa::isa, true, ns::matmul_fast<ns::type>, ns::matmul_precise<ns::type>}
#define TENON_MATMUL_FLOAT(format, isa, ns, type)                                                  \
    {PackedFormat::format, Isa::isa, true, nullptr, ns::matmul_precise<ns::type>}

constexpr MatmulEntry kEntries[] = {
#if defined(__x86_64__)
    TENON_MATMUL_QUANTISED(kQ4_0, kAvx512, isa_avx512, FormatQ4_0),
    TENON_MATMUL_QUANTISED(kQ4_1, kAvx512, isa_avx512, FormatQ4_1),
    TENON_MATMUL_QUANTISED(kQ8_0, kAvx512, isa_avx512, FormatQ8_0),
    TENON_MATMUL_FLOAT(kF32, kAvx512, isa_avx512, FormatF32),
    TENON_MATMUL_FLOAT(kF16, kAvx512, isa_avx512, FormatF16),
    TENON_MATMUL_FLOAT(kBf16, kAvx512, isa_avx512, FormatBf16),
    TENON_MATMUL_QUANTISED(kQ4_0, kAvx2, isa_avx2, FormatQ4_0),
    TENON_MATMUL_QUANTISED(kQ4_1, kAvx2, isa_avx2, FormatQ4_1),
    TENON_MATMUL_QUANTISED(kQ8_0, kAvx2, isa_avx2, FormatQ8_0),
    TENON_MATMUL_FLOAT(kF32, kAvx2, isa_avx2, FormatF32),
    TENON_MATMUL_FLOAT(kF16, kAvx2, isa_avx2, FormatF16),
    TENON_MATMUL_FLOAT(kBf16, kAvx2, isa_avx2, FormatBf16),
#endif
    TENON_MATMUL_QUANTISED(kQ4_0, kScalar, isa_scalar, FormatQ4_0),
    TENON_MATMUL_QUANTISED(kQ4_1, kScalar, isa_scalar, FormatQ4_1),
    TENON_MATMUL_QUANTISED(kQ8_0, kScalar, isa_scalar, FormatQ8_0),
    TENON_MATMUL_FLOAT(kF32, kScalar, isa_scalar, FormatF32),
    TENON_MATMUL_FLOAT(kF16, kScalar, isa_scalar, FormatF16),
    TENON_MATMUL_FLOAT(kBf16, kScalar, isa_scalar, FormatBf16),
};

} // namespace

const MatmulEntry* matmul_entries(uint32_t* count) noexcept {
    *count = sizeof kEntries / sizeof kEntries[0];
    return kEntries;
}

const MatmulEntry* find_matmul(PackedFormat format, Isa isa) noexcept {
    const MatmulEntry* last = nullptr;
    for (const MatmulEntry& entry : kEntries) {
        if (entry.format != format) continue;
        if (entry.isa <= isa) return &entry;
        last = &entry;
    }
    return last;
}

} // namespace tenon::kernels
