#define TENON_ISA_NAMESPACE isa_avx2
#define TENON_ISA_LEVEL 1
#include "kernels/cpu/matmul/instances-inl.h"
