// Stored weight blocks: the bytes of one group of a quantised row, exactly as a GGUF file holds
// them.
//
// All integers are little endian; `d`, `m` and `dmin` are IEEE binary16 bit patterns. A row of
// `cols` elements is cols / kBlockElems (kSuperElems) blocks, one after the other, without padding.
// Nibble packing of 32 elements: element i (i < 16) is the low half of qs[i], i + 16 its high half.
// POD, no alignment beyond 2 is promised for a row inside a file. Header-only, C++17.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace tenon {

// Elements in one block of every format up to BlockMXFP4.
inline constexpr int kBlockElems = 32;

// value = d * (q - 8), q unsigned 4 bit.
struct BlockQ4_0 {
    uint16_t d;
    uint8_t qs[16];
};

// value = d * q + m, q unsigned 4 bit.
struct BlockQ4_1 {
    uint16_t d;
    uint16_t m;
    uint8_t qs[16];
};

// value = d * q, q signed 8 bit.
struct BlockQ8_0 {
    uint16_t d;
    int8_t qs[32];
};

// value = d * (q - 16); bit i of qh is bit 4 of code i.
struct BlockQ5_0 {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
};

// value = d * q + m; qh as in BlockQ5_0.
struct BlockQ5_1 {
    uint16_t d;
    uint16_t m;
    uint8_t qh[4];
    uint8_t qs[16];
};

// value = d * level[q].
struct BlockIQ4NL {
    uint16_t d;
    uint8_t qs[16];
};

// value = 2^(e - 127) * level[q].
struct BlockMXFP4 {
    uint8_t e;
    uint8_t qs[16];
};

// Elements in one block of every format below. Where the digits of codes and scales lie is data:
// the formats' tenon_bit_fields.
inline constexpr int kSuperElems = 256;

// value = d * scale * q - dmin * min, per 16 elements; 2-bit codes, 4-bit scales and mins.
struct BlockQ2K {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d;
    uint16_t dmin;
};

// value = d * (scale - 32) * (q - 4), per 16 elements; 3-bit codes, 6-bit scales.
struct BlockQ3K {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[12];
    uint16_t d;
};

// value = d * scale * q - dmin * min, per 32 elements; 4-bit codes, 6-bit scales and mins.
struct BlockQ4K {
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12];
    uint8_t qs[128];
};

// As BlockQ4K with 5-bit codes.
struct BlockQ5K {
    uint16_t d;
    uint16_t dmin;
    uint8_t scales[12];
    uint8_t qh[32];
    uint8_t qs[128];
};

// value = d * scale * (q - 32), per 16 elements; 6-bit codes, signed 8-bit scales.
struct BlockQ6K {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};

// value = d * q, d in binary32; bsums[g] is the sum of the codes of 16 elements, which nobody needs
// to decode.
struct BlockQ8K {
    float d;
    int8_t qs[256];
    int16_t bsums[16];
};

// value = d * (scale - 32) * level[q], per 32 elements; 6-bit scales.
struct BlockIQ4XS {
    uint16_t d;
    uint16_t scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
};

// value = d * (q - 1), q one of 0, 1, 2: five to a byte in qs, four in qh.
struct BlockTQ1_0 {
    uint8_t qs[48];
    uint8_t qh[4];
    uint16_t d;
};

// value = d * (q - 1), 2-bit codes.
struct BlockTQ2_0 {
    uint8_t qs[64];
    uint16_t d;
};

static_assert(sizeof(BlockQ4_0) == 18 && alignof(BlockQ4_0) == 2);
static_assert(sizeof(BlockQ4_1) == 20 && alignof(BlockQ4_1) == 2);
static_assert(sizeof(BlockQ8_0) == 34 && alignof(BlockQ8_0) == 2);
static_assert(sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24);
static_assert(sizeof(BlockIQ4NL) == 18 && sizeof(BlockMXFP4) == 17);
static_assert(sizeof(BlockQ2K) == 84 && sizeof(BlockQ3K) == 110 && sizeof(BlockQ4K) == 144);
static_assert(sizeof(BlockQ5K) == 176 && sizeof(BlockQ6K) == 210 && sizeof(BlockQ8K) == 292);
static_assert(sizeof(BlockIQ4XS) == 136 && sizeof(BlockTQ1_0) == 54 && sizeof(BlockTQ2_0) == 66);
static_assert(offsetof(BlockQ4_0, qs) == 2 && offsetof(BlockQ4_1, m) == 2);
static_assert(offsetof(BlockQ4_1, qs) == 4 && offsetof(BlockQ8_0, qs) == 2);
static_assert(std::is_trivial<BlockQ4_0>::value && std::is_standard_layout<BlockQ4_0>::value);
static_assert(std::is_trivial<BlockQ4_1>::value && std::is_standard_layout<BlockQ4_1>::value);
static_assert(std::is_trivial<BlockQ8_0>::value && std::is_standard_layout<BlockQ8_0>::value);

}  // namespace tenon
