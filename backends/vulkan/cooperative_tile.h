// How a product of many tokens is cut for shader matmul/cooperative.
#pragma once

#include "backends/vulkan/features.h"

namespace tenon::vulkan {

// Fewer tokens leave most of a matrix empty. Chosen without a GPU to time it on.
constexpr int64_t kCooperativeTokensMin = 16;

// Subgroups of a workgroup, those of them side by side along the tokens, and the matrices that each has
// along the weight's rows and along the tokens. Zeros: none.
struct CooperativeTile {
    uint32_t subgroups = 0;
    uint32_t team = 1;
    uint32_t rows = 1;
    uint32_t tokens = 1;
};

// The largest tile that the device has memory and invocations for and that leaves enough workgroups;
// none when it has no matrices, or memory for no tile. `sets`: 2 where two weights share x.
CooperativeTile cooperative_tile(const Features& features, int64_t tokens, uint32_t weight_rows,
                                 uint32_t sets) noexcept;

}  // namespace tenon::vulkan
