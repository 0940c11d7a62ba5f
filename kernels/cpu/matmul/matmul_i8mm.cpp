#define TENON_ISA_NAMESPACE isa_i8mm
#define TENON_ISA_LEVEL 5
#include "kernels/cpu/matmul/instances-inl.h"
