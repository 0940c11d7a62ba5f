// The one way to Vulkan's declarations: through volk, which loads them at run time.
#pragma once

#ifndef VK_NO_PROTOTYPES
#define VK_NO_PROTOTYPES
#endif
#include <volk.h>
