// Packed weights: few layouts that every kernel reads, made once when a model is loaded. Which one a
// stored format gets follows from its description alone, never from its name.
//
// Sixteen rows form a row group; lane r of a vector is row r of the group. Rows are padded with
// zeros to whole groups. Levels are what scales multiply: codes minus their zero, or a codebook's
// entries times the power of two that makes them integers. With `cols` inputs per row a group is,
// without gaps:
//   Q4_0, Q4_1, Q8_0, Q8_1  cols/32 blocks of {codes, 16 binary16 scales, Q4_1, Q8_1: 16 binary16
//     mins}. 4-bit codes: 4 x 64 bytes; byte i of lane r in row j holds column 4j+i of the block in
//     its low half and column 16+4j+i in its high half. 8-bit codes: 8 x 64 bytes, column 4j+i.
//     Stored is level + 8 (Q4_0), level (Q4_1) or level + 128 (Q8_0, Q8_1).
//   SuperS4, SuperU4, SuperS8  super-blocks of super_cols columns: a head, then the codes of each 32
//     columns as above with level + 8, level or level + 128. Head: 16 binary32 scales; with has_min
//     16 binary32 mins; with factor_cols != 0 super_cols/factor_cols rows of 16 int8 factors of the
//     scale, and with has_min as many of the min. A column's scale is scale * factor, or scale.
//   F32, F16, BF16  cols x 16 elements, column by column.
// value = scale * level + min. What no integer layout can say is decoded to F32.
// Pure functions on raw memory; different groups may be packed by different threads.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <tenon/abi.h>

namespace tenon::kernels {

enum class PackedFormat : uint8_t {
    kF32,
    kF16,
    kBf16,
    kQ4_0,
    kQ4_1,
    kQ8_0,
    kQ8_1,
    kSuperS4,
    kSuperU4,
    kSuperS8
};

constexpr size_t kPackedFormatCount = 10;
constexpr uint32_t kGroupRows = 16;  // rows of a row group
constexpr uint32_t kBlockCols = 32;  // columns of a block: a scale covers whole blocks or halves

// How a tensor is packed. The fields behind `format` are zero but for the Super formats.
struct PackedLayout {
    PackedFormat format = PackedFormat::kF32;
    bool has_min = false;
    uint32_t super_cols = 0;   // a multiple of 32
    uint32_t factor_cols = 0;  // columns under one factor: 16, 32, or 0 without factors
    uint32_t head_bytes = 0;
    uint32_t super_bytes = 0;  // head and codes
};

// "f32", "f16", "bf16", "q4_0", "q4_1", "q8_0", "q8_1", "super_s4", "super_u4" or "super_s8".
const char* format_name(PackedFormat format) noexcept;

// True for formats whose products with 8-bit activations are exact sums of integers.
bool is_quantised(PackedFormat format) noexcept;

// The layout of a described format (reference::format_problem is null for it). Quantised layouts are
// given only where whole blocks of the format are multiples of 32 columns.
PackedLayout choose_layout(const tenon_format& format) noexcept;

// A layout of one of the formats without super-blocks.
constexpr PackedLayout plain_layout(PackedFormat format) {
    PackedLayout layout;
    layout.format = format;
    return layout;
}

// Bytes of a stored row of `cols` columns, a multiple of block_elems.
size_t stored_row_bytes(const tenon_format& format, uint32_t cols) noexcept;

// Bytes of one packed row group.
size_t group_bytes(const PackedLayout& layout, uint32_t cols) noexcept;

// Row groups that hold `rows` rows.
uint32_t group_count(uint32_t rows) noexcept;

// Packs groups [group_begin, group_end) of a tensor of `rows` stored rows, which lie one after the
// other from `stored`, into `packed` (the place of group 0), as `choose_layout(format)` says. Source
// rows need no alignment.
void pack_groups(const tenon_format& format, const void* stored, uint32_t rows, uint32_t cols,
                 uint32_t group_begin, uint32_t group_end, void* packed) noexcept;

// Decodes row `row` of a packed tensor to `cols` floats: the row lookup of an embedding.
void unpack_row(const PackedLayout& layout, const void* packed, uint32_t cols, uint32_t row,
                float* out) noexcept;

}  // namespace tenon::kernels
