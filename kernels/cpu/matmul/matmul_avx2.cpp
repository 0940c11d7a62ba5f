#define TENON_ISA_NAMESPACE isa_avx2
#define TENON_ISA_LEVEL 1
#include "kernels/cpu/matmul/matmul-inl.h"

namespace tenon::kernels::TENON_ISA_NAMESPACE {

template void matmul_fast<FormatQ4_0>(const MatmulArgs&);
template void matmul_fast<FormatQ4_1>(const MatmulArgs&);
template void matmul_fast<FormatQ8_0>(const MatmulArgs&);
template void matmul_precise<FormatQ4_0>(const MatmulArgs&);
template void matmul_precise<FormatQ4_1>(const MatmulArgs&);
template void matmul_precise<FormatQ8_0>(const MatmulArgs&);
template void matmul_precise<FormatF32>(const MatmulArgs&);
template void matmul_precise<FormatF16>(const MatmulArgs&);
template void matmul_precise<FormatBf16>(const MatmulArgs&);

} // namespace tenon::kernels::TENON_ISA_NAMESPACE
