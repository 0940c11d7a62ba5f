// The list of every shader variant of this build: what generate.py compiled out of
// shaders/<family>/variants.yaml, with what it read from the SPIR-V itself.
#pragma once

#include <cstdint>

namespace tenon::shaders {

// What a variant needs of a device beyond Vulkan 1.2 core without any feature. The names in
// variants.yaml are these in snake case: `requires: [subgroup, float16]`.
enum Requires : uint32_t {
    kRequiresSubgroup = 1u << 0,   // subgroup arithmetic, ballots and shuffles in compute shaders
    kRequiresFloat16 = 1u << 1,    // shaderFloat16
    kRequiresInt8 = 1u << 2,       // shaderInt8
    kRequiresInt16 = 1u << 3,      // shaderInt16
    kRequiresInt64 = 1u << 4,      // shaderInt64
    kRequiresStorage8 = 1u << 5,   // storageBuffer8BitAccess
    kRequiresStorage16 = 1u << 6,  // storageBuffer16BitAccess
    kRequiresIntDot = 1u << 7,     // VK_KHR_shader_integer_dot_product
    kRequiresCoopmat = 1u << 8,    // VK_KHR_cooperative_matrix; built only with newer shader tools
};

struct ShaderVariant {
    const char* family;     // the folder: "matmul"
    const char* name;       // unique in the family
    const uint32_t* words;  // SPIR-V, checked by spirv-val when it was built
    uint32_t n_words;
    uint32_t requires_bits;  // of Requires
    // Read from the words, to be held against params.h where a pipeline is made:
    uint32_t push_bytes;     // extent of the push constants, 0 for none
    uint32_t binding_mask;   // bit b: the shader has a storage buffer at set 0, binding b
    uint32_t spec_mask;      // bit i: the shader has a specialization constant with constant_id i
    uint32_t shared_bytes;   // workgroup memory at the default specialization
    uint32_t local_size[3];  // at the default specialization
};

// All variants, sorted by family, in the order of variants.yaml within one. Static storage.
const ShaderVariant* shader_list(uint32_t* count);

// The variant of that name, or null.
const ShaderVariant* find_shader(const char* family, const char* name);

}  // namespace tenon::shaders
