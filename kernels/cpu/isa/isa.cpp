#include "kernels/include/tenon/kernels/isa.h"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tenon::kernels {
namespace {

#if defined(__aarch64__)
constexpr const char* kNames[kIsaCount] = {"scalar", "neon", "dotprod", "i8mm"};
constexpr const char* kList = "scalar, neon, dotprod or i8mm";
#else
constexpr const char* kNames[kIsaCount] = {"scalar", "avx2", "avx512"};
constexpr const char* kList = "scalar, avx2 or avx512";
#endif

#if defined(__x86_64__)
uint64_t enabled_state() noexcept {
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (static_cast<uint64_t>(high) << 32) | low;
}

bool has(uint32_t word, int bit) noexcept { return ((word >> bit) & 1u) != 0; }

// Bit numbers: Intel SDM volume 2, CPUID leaves 1 and 7; state bits of XCR0: volume 1, 13.3.
Isa detect() noexcept {
    uint32_t a = 0;
    uint32_t b = 0;
    uint32_t c = 0;
    uint32_t d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0) return Isa::kScalar;
    const bool osxsave = has(c, 27);
    if (!osxsave || !has(c, 28) || !has(c, 12) || !has(c, 29)) return Isa::kScalar;
    const uint64_t state = enabled_state();
    if ((state & 0x6) != 0x6) return Isa::kScalar;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || !has(b, 5)) return Isa::kScalar;
    const bool avx512 = has(b, 16) && has(b, 17) && has(b, 30) && has(b, 31) && has(c, 11);
    if (!avx512 || (state & 0xe6) != 0xe6) return Isa::kAvx2;
    return Isa::kAvx512;
}
#elif defined(__aarch64__)
Isa detect() noexcept {
    const unsigned long first = getauxval(AT_HWCAP);
    const unsigned long second = getauxval(AT_HWCAP2);
    if ((first & HWCAP_ASIMD) == 0) return Isa::kScalar;
    if ((first & HWCAP_ASIMDDP) == 0) return Isa::kNeon;
    if ((second & HWCAP2_I8MM) == 0) return Isa::kDotprod;
    return Isa::kI8mm;
}
#else
Isa detect() noexcept { return Isa::kScalar; }
#endif

}  // namespace

Isa best_isa() noexcept {
    static const Isa isa = detect();
    return isa;
}

const char* isa_name(Isa isa) noexcept { return kNames[static_cast<size_t>(isa)]; }

const char* isa_names() noexcept { return kList; }

bool find_isa(const char* name, size_t length, Isa* isa) noexcept {
    for (size_t i = 0; i < kIsaCount; ++i) {
        if (std::strlen(kNames[i]) == length && std::memcmp(kNames[i], name, length) == 0) {
            *isa = static_cast<Isa>(i);
            return true;
        }
    }
    return false;
}

}  // namespace tenon::kernels
