// What the device of the tests is and has.
#pragma once

#include <cstdint>
#include <string>

#include "backends/vulkan/cooperative_matrix.h"
#include "shaders/shader_list.h"

namespace tenon::shaders {

// What the device of the tests has, for a test that wants to choose a variant.
struct TestDevice {
    std::string name;
    uint32_t supported;  // of Requires
    uint32_t subgroup_size;
    uint32_t shared_bytes;
    vulkan::MatrixShape matrix;  // of cooperative matrices; zeros: none
    bool validates;              // the validation layer is on
};

}  // namespace tenon::shaders
