// Packed weights: the one layout that every kernel reads, made once when a model is loaded.
//
// Sixteen rows form a row group; lane r of a vector is row r of the group. Rows are padded with
// zeros to whole groups. With `cols` inputs per row a group is, without gaps:
//   Q4_0, Q4_1, Q8_0  cols/32 blocks of {codes, 16 binary16 scales, Q4_1: 16 binary16 mins}.
//     4-bit codes: 4 x 64 bytes; byte i of lane r in row j holds element 4j+i of the block in its
//     low half and element 16+4j+i in its high half. 8-bit codes: 8 x 64 bytes, element 4j+i,
//     stored as code + 128.
//   F32, F16, BF16    cols x 16 elements, column by column.
// Pure functions on raw memory; different groups may be packed by different threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace tenon::kernels {

enum class PackedFormat : uint8_t { kF32, kF16, kBf16, kQ4_0, kQ4_1, kQ8_0 };

constexpr size_t kPackedFormatCount = 6;
constexpr uint32_t kGroupRows = 16;  // rows of a row group
constexpr uint32_t kBlockCols = 32;  // elements that share a scale

// "f32", "f16", "bf16", "q4_0", "q4_1" or "q8_0".
const char* format_name(PackedFormat format) noexcept;

// True for formats whose products with 8-bit activations are exact sums of integers.
bool is_quantised(PackedFormat format) noexcept;

// Bytes of a stored row of `cols` elements (a multiple of 32 for quantised formats).
size_t stored_row_bytes(PackedFormat format, uint32_t cols) noexcept;

// Bytes of one packed row group.
size_t group_bytes(PackedFormat format, uint32_t cols) noexcept;

// Row groups that hold `rows` rows.
uint32_t group_count(uint32_t rows) noexcept;

// Packs groups [group_begin, group_end) of a tensor of `rows` stored rows, which lie one after the
// other from `stored`, into `packed` (the place of group 0). Source rows need no alignment.
void pack_groups(PackedFormat format, const void* stored, uint32_t rows, uint32_t cols,
                 uint32_t group_begin, uint32_t group_end, void* packed) noexcept;

// Decodes row `row` of a packed tensor to `cols` floats: the row lookup of an embedding.
void unpack_row(PackedFormat format, const void* packed, uint32_t cols, uint32_t row,
                float* out) noexcept;

} // namespace tenon::kernels
