// The only place where volk's functions are compiled.
#define VOLK_IMPLEMENTATION
#include "backends/vulkan/volk.h"
