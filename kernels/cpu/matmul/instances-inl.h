// What every instance file of this family instantiates, one line per format.
#pragma once

#include "kernels/cpu/matmul/matmul-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

#define TENON_MATMUL_BOTH(format)                         \
    template void matmul_fast<format>(const MatmulArgs&); \
    template void matmul_precise<format>(const MatmulArgs&);

TENON_MATMUL_BOTH(FormatQ4_0)
TENON_MATMUL_BOTH(FormatQ4_1)
TENON_MATMUL_BOTH(FormatQ8_0)
TENON_MATMUL_BOTH(FormatQ8_1)
TENON_MATMUL_BOTH(FormatSuperS4)
TENON_MATMUL_BOTH(FormatSuperU4)
TENON_MATMUL_BOTH(FormatSuperS8)
template void matmul_precise<FormatF32>(const MatmulArgs&);
template void matmul_precise<FormatF16>(const MatmulArgs&);
template void matmul_precise<FormatBf16>(const MatmulArgs&);

#undef TENON_MATMUL_BOTH

}  // namespace tenon::kernels::TENON_ISA_NAMESPACE
