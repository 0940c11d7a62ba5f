#define TENON_ISA_NAMESPACE isa_neon
#define TENON_ISA_LEVEL 3
#include "kernels/cpu/elementwise/elementwise-inl.h"
