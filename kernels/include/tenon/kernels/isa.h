// Which instruction sets the kernels are built for, and which of them this machine can run.
//
// Pure and thread-safe. Names are the words of the option force_isa.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tenon::kernels {

// Levels of the processor family this is built for. Ordered: a machine that runs one level runs
// every level below it.
#if defined(__aarch64__)
enum class Isa : uint8_t {
    kScalar = 0,   // plain C++
    kNeon = 1,     // NEON as in Armv8.0: Cortex-A72
    kDotprod = 2,  // products of bytes, Armv8.2: Neoverse N1
    kI8mm = 3,     // products of byte matrices, Armv8.6: Neoverse V1
};
constexpr size_t kIsaCount = 4;
#else
enum class Isa : uint8_t {
    kScalar = 0,  // plain C++
    kAvx2 = 1,    // AVX2 + FMA + F16C
    kAvx512 = 2,  // AVX-512 F, BW, DQ, VL and VNNI
};
constexpr size_t kIsaCount = 3;
#endif

// The highest level that both the processor and the operating system offer (x86: CPUID and XGETBV;
// Arm: the kernel's hardware capabilities).
Isa best_isa() noexcept;

// "scalar", "avx2" or "avx512"; on Arm "scalar", "neon", "dotprod" or "i8mm".
const char* isa_name(Isa isa) noexcept;

// Every name in order, for people: "scalar, avx2 or avx512".
const char* isa_names() noexcept;

// Finds the level called `name` (length bytes, not terminated); false for an unknown name.
bool find_isa(const char* name, size_t length, Isa* isa) noexcept;

}  // namespace tenon::kernels
