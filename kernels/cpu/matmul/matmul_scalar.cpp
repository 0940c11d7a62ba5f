#define TENON_ISA_NAMESPACE isa_scalar
#define TENON_ISA_LEVEL 0
#include "kernels/cpu/matmul/instances-inl.h"
