// Which instruction sets the kernels are built for, and which of them this machine can run.
//
// Pure and thread-safe. Names are the words of the option force_isa.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tenon::kernels {

// Ordered: a machine that runs one level runs every level below it.
enum class Isa : uint8_t {
    kScalar = 0, // plain C++
    kAvx2 = 1,   // AVX2 + FMA + F16C
    kAvx512 = 2, // AVX-512 F, BW, DQ, VL and VNNI
};

constexpr size_t kIsaCount = 3;

// The highest level that both the processor (CPUID) and the operating system (XGETBV) offer.
Isa best_isa() noexcept;

// "scalar", "avx2" or "avx512".
const char* isa_name(Isa isa) noexcept;

// Finds the level called `name` (length bytes, not terminated); false for an unknown name.
bool find_isa(const char* name, size_t length, Isa* isa) noexcept;

} // namespace tenon::kernels
