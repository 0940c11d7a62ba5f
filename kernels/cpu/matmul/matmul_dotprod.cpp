#define TENON_ISA_NAMESPACE isa_dotprod
#define TENON_ISA_LEVEL 4
#include "kernels/cpu/matmul/instances-inl.h"
