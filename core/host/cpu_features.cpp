#include "core/host/cpu_features.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <utility>

#include "core/base/bytes.h"

#if defined(__x86_64__)
#include <cpuid.h>
#else
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace tenon::host {
namespace {

using Feature = std::pair<std::string_view, bool>;

#if defined(__x86_64__)

// The state components that the operating system saves (XCR0).
uint64_t saved_state(uint32_t leaf1_ecx) noexcept {
    constexpr uint32_t kOsxsave = 1u << 27;
    if ((leaf1_ecx & kOsxsave) == 0) return 0;
    uint32_t low = 0;
    uint32_t high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return uint64_t{high} << 32 | low;
}

// Bit numbers: Intel 64 and IA-32 Architectures Software Developer's Manual, CPUID.
std::vector<Feature> detect() {
    uint32_t a = 0, b1 = 0, c1 = 0, d1 = 0, b7 = 0, c7 = 0, d7 = 0, a71 = 0, b71 = 0, c71 = 0,
             d71 = 0;
    __get_cpuid(1, &a, &b1, &c1, &d1);
    __get_cpuid_count(7, 0, &a, &b7, &c7, &d7);
    __get_cpuid_count(7, 1, &a71, &b71, &c71, &d71);
    const uint64_t state = saved_state(c1);
    const bool ymm = (state & 0x6) == 0x6;
    const bool zmm = (state & 0xe6) == 0xe6;
    const bool tiles = (state & 0x60000) == 0x60000;
    const auto bit = [](uint32_t word, int index) { return (word >> index & 1) != 0; };
    return {
        {"sse4_2", bit(c1, 20)},
        {"avx", ymm && bit(c1, 28)},
        {"f16c", ymm && bit(c1, 29)},
        {"fma", ymm && bit(c1, 12)},
        {"avx2", ymm && bit(b7, 5)},
        {"bmi2", bit(b7, 8)},
        {"avx512f", zmm && bit(b7, 16)},
        {"avx512dq", zmm && bit(b7, 17)},
        {"avx512bw", zmm && bit(b7, 30)},
        {"avx512vl", zmm && bit(b7, 31)},
        {"avx512vnni", zmm && bit(c7, 11)},
        {"avx512bf16", zmm && bit(a71, 5)},
        {"avxvnni", ymm && bit(a71, 4)},
        {"amx_tile", tiles && bit(d7, 24)},
        {"amx_int8", tiles && bit(d7, 25)},
        {"amx_bf16", tiles && bit(d7, 22)},
    };
}

#else

std::vector<Feature> detect() {
    const uint64_t low = getauxval(AT_HWCAP);
    const uint64_t high = getauxval(AT_HWCAP2);
    return {
        {"neon", (low & HWCAP_ASIMD) != 0},      {"fp16", (low & HWCAP_ASIMDHP) != 0},
        {"dotprod", (low & HWCAP_ASIMDDP) != 0}, {"sve", (low & HWCAP_SVE) != 0},
        {"i8mm", (high & HWCAP2_I8MM) != 0},     {"bf16", (high & HWCAP2_BF16) != 0},
    };
}

#endif

const std::vector<Feature>& features() {
    static const std::vector<Feature> detected = detect();
    return detected;
}

}  // namespace

const std::vector<std::string_view>& known_cpu_features() {
    static const std::vector<std::string_view> names = [] {
        std::vector<std::string_view> list;
        for (const Feature& feature : features())
            list.push_back(feature.first);
        return list;
    }();
    return names;
}

Result<std::vector<std::string>> missing_cpu_features(const std::vector<std::string>& required) {
    std::vector<std::string> missing;
    for (const std::string& name : required) {
        bool known = false;
        for (const Feature& feature : features()) {
            if (feature.first != name) continue;
            known = true;
            if (!feature.second) missing.push_back(name);
        }
        if (!known) {
            return Error{
                Code::kUnsupported,
                fmt::format("cpu_requires names '{}', which is not known here; known are {}.",
                            printable(name), fmt::join(known_cpu_features(), ", "))};
        }
    }
    return missing;
}

}  // namespace tenon::host
