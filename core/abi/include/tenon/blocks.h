// Stored weight blocks: the bytes of one group of a quantised row, exactly as a GGUF file holds
// them.
//
// All integers are little endian; `d` and `m` are IEEE binary16 bit patterns. A row of `cols`
// elements is cols / kBlockElems blocks, one after the other, without padding. Nibble packing:
// element i of a block (i < 16) is the low half of qs[i], element i + 16 is the high half of qs[i].
// POD, no alignment beyond 2 is promised for a row inside a file. Header-only, C++17.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace tenon {

// Elements in one block of every format below.
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

static_assert(sizeof(BlockQ4_0) == 18 && alignof(BlockQ4_0) == 2);
static_assert(sizeof(BlockQ4_1) == 20 && alignof(BlockQ4_1) == 2);
static_assert(sizeof(BlockQ8_0) == 34 && alignof(BlockQ8_0) == 2);
static_assert(offsetof(BlockQ4_0, qs) == 2 && offsetof(BlockQ4_1, m) == 2);
static_assert(offsetof(BlockQ4_1, qs) == 4 && offsetof(BlockQ8_0, qs) == 2);
static_assert(std::is_trivial<BlockQ4_0>::value && std::is_standard_layout<BlockQ4_0>::value);
static_assert(std::is_trivial<BlockQ4_1>::value && std::is_standard_layout<BlockQ4_1>::value);
static_assert(std::is_trivial<BlockQ8_0>::value && std::is_standard_layout<BlockQ8_0>::value);

}  // namespace tenon
