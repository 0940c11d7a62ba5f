// How a packed weight is described to a shader: the specialization constants of decode.glsl. Read by
// the shaders and by the Vulkan backend (backends/vulkan/pack.h fills them from a PackedLayout).
#ifndef TENON_SHADERS_DECODE_H
#define TENON_SHADERS_DECODE_H

// Specialization constant ids, one after the other. Ids below 16 are a family's own.
#define TENON_DECODE_SPEC_FIRST 16
#define TENON_SPEC_CLS 16         // a TENON_PACKED_* class
#define TENON_SPEC_LO_BITS 17     // 2, 4 or 8
#define TENON_SPEC_HI_BITS 18     // 0, 1 or 2
#define TENON_SPEC_GROUP 19       // columns under one scale: 16 or a multiple of 32
#define TENON_SPEC_SCALE_MODE 20  // a TENON_SCALE_*
#define TENON_SPEC_HAS_MIN 21     // 1: a min beside each scale
#define TENON_SPEC_ZERO 22        // subtracted from a code
#define TENON_SPEC_HAS_LUT 23     // 1: a code of at most 4 bits selects a level
#define TENON_SPEC_LUT_0 24       // sixteen int8 levels in four words, code 0 in the lowest byte
#define TENON_SPEC_LUT_1 25
#define TENON_SPEC_LUT_2 26
#define TENON_SPEC_LUT_3 27
#define TENON_SPEC_OUTER 28       // columns under one outer scale, a multiple of 32; 0: one level
#define TENON_SPEC_SCALE_BITS 29  // bits of the code of a scale or a min: 4 or 8; 0: no codes
#define TENON_SPEC_SCALE_ZERO 30  // subtracted from the code of a scale
#define TENON_DECODE_SPEC_COUNT 15

#define TENON_PACKED_FLOAT32 0
#define TENON_PACKED_FLOAT16 1
#define TENON_PACKED_BFLOAT16 2
#define TENON_PACKED_CODES 3

// What the scales and mins are, where they have two levels the outer ones.
#define TENON_SCALE_F32 0
#define TENON_SCALE_F16 1
#define TENON_SCALE_E8M0 2  // 2^(code - zero); no outer scale, no min

// Columns of a block: rows are padded with zeros to whole blocks.
#define TENON_BLOCK_COLS 32

#endif
