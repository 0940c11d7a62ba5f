#define TENON_ISA_NAMESPACE isa_avx512
#define TENON_ISA_LEVEL 2
#include "kernels/cpu/matmul/instances-inl.h"
