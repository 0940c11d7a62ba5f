#define TENON_ISA_NAMESPACE isa_neon
#define TENON_ISA_LEVEL 3
#include "kernels/cpu/matmul/instances-inl.h"
