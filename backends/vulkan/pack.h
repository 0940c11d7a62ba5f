// Packed weights: one canonical layout in three planes, made once when a model is loaded and decoded
// by shaders/include/decode.glsl alone. What a stored format becomes follows from its description,
// never from its name.
//
// A row of `cols` columns is padded with zeros to whole blocks of 32 columns. FLOAT32, FLOAT16 and
// BFLOAT16 have plane lo alone: the elements. CODES: plane lo holds lo_bits (2, 4 or 8) bits of each
// code, plane hi hi_bits (0, 1 or 2), first column in the lowest bits of the first 32-bit word;
//   code = lo | hi << lo_bits,  value = scale * (code - zero) + min,
// or with a codebook value = scale * lut[code] + min. Plane scale has one entry per `group` columns:
// binary32 scale (and min), or binary16 scale and min in one word, or binary16 scales, two a word,
// or bytes b for 2^(b - scale_zero). Scales of two levels: such floats, one entry per `outer` columns,
// then from the next word on, for each `group` columns, scale_bits bits of a scale's code (and as many
// of a min's), first group lowest;
//   scale = outer scale * (scale's code - scale_zero),  min = outer min * min's code.
// Each row of each plane starts at a multiple of 16 bytes.
//
// Plain functions on raw memory, no Vulkan; different rows may be packed by different threads.
#pragma once

#include <cstddef>
#include <cstdint>

#include <tenon/abi.h>

#include "shaders/include/decode.h"

namespace tenon::vulkan {

enum class PackedClass : uint32_t {
    kFloat32 = TENON_PACKED_FLOAT32,
    kFloat16 = TENON_PACKED_FLOAT16,
    kBfloat16 = TENON_PACKED_BFLOAT16,
    kCodes = TENON_PACKED_CODES
};

enum class ScaleMode : uint32_t {
    kFloat32 = TENON_SCALE_F32,
    kFloat16 = TENON_SCALE_F16,
    kExponent = TENON_SCALE_E8M0
};

constexpr uint32_t kBlockCols = TENON_BLOCK_COLS;
constexpr uint32_t kPlanes = 3;  // lo, hi, scale

// The fields behind cls are zero but for kCodes. Weights of equal layouts run the same pipelines.
struct PackedLayout {
    PackedClass cls = PackedClass::kFloat32;
    uint32_t lo_bits = 0;
    uint32_t hi_bits = 0;
    uint32_t group = 0;
    ScaleMode scale_mode = ScaleMode::kFloat32;
    uint32_t outer = 0;       // 0: scales of one level
    uint32_t scale_bits = 0;  // 4 or 8; 0: scales and mins are floats
    int32_t scale_zero = 0;
    bool has_min = false;
    bool has_lut = false;
    int32_t zero = 0;
    int8_t lut[16] = {};  // levels; their common power of two is part of the scales
};

bool operator==(const PackedLayout& a, const PackedLayout& b) noexcept;
inline bool operator!=(const PackedLayout& a, const PackedLayout& b) noexcept { return !(a == b); }

// The layout of a described format for which reference::format_problem is null.
PackedLayout choose_layout(const tenon_format& format) noexcept;

// Bytes of one row of one plane, multiples of 16; 0 for a plane that the layout does not have.
struct PlaneBytes {
    uint64_t lo = 0, hi = 0, scale = 0;
    uint64_t total() const noexcept { return lo + hi + scale; }
};
PlaneBytes row_bytes(const PackedLayout& layout, uint32_t cols) noexcept;

// Bytes of a stored row of `cols` columns, a multiple of block_elems.
uint64_t stored_row_bytes(const tenon_format& format, uint32_t cols) noexcept;

// Where a run of packed rows goes: the first of them in each plane.
struct PackedPlanes {
    uint8_t* lo = nullptr;
    uint8_t* hi = nullptr;
    uint8_t* scale = nullptr;
};

// Packs stored rows that lie one after the other. Holds the format's tables, so make one per tensor;
// pack() is const and safe from several threads. The format must outlive it.
class Packer {
public:
    // False when memory is out; then nothing else may be called. `cols`: multiple of block_elems.
    [[nodiscard]] bool init(const tenon_format& format, uint32_t cols) noexcept;
    ~Packer();
    Packer() = default;
    Packer(const Packer&) = delete;
    Packer& operator=(const Packer&) = delete;

    const PackedLayout& layout() const noexcept { return layout_; }
    // Rows [0, rows) at `stored` (any alignment) into `planes`; every byte of those rows is written.
    // False when memory for the codes of one row is out.
    [[nodiscard]] bool pack(const void* stored, uint32_t rows,
                            const PackedPlanes& planes) const noexcept;

private:
    struct Tables;
    void pack_floats(const uint8_t* stored, uint8_t* lo) const noexcept;
    // Floats of group g, or outer ones of the block, to `out`; how many bytes they are.
    size_t put_floats(const uint8_t* block, uint32_t g, uint8_t* out) const noexcept;
    uint32_t scale_codes(const uint8_t* block, uint32_t g) const noexcept;
    void pack_scales(const uint8_t* stored, uint8_t* out) const noexcept;
    PackedLayout layout_;
    uint32_t cols_ = 0;
    Tables* tables_ = nullptr;  // owned
};

// Row `row` of planes that start at row 0, decoded as decode.glsl does it, to `cols` floats.
void unpack_row(const PackedLayout& layout, const uint8_t* lo, const uint8_t* hi,
                const uint8_t* scale, uint32_t cols, uint64_t row, float* out) noexcept;

// The specialization constants of decode.glsl, ids TENON_DECODE_SPEC_FIRST and up.
struct DecodeConstants {
    uint32_t word[TENON_DECODE_SPEC_COUNT];
};
DecodeConstants decode_constants(const PackedLayout& layout) noexcept;

}  // namespace tenon::vulkan
