#include "core/formats/format_list.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>

#include <tenon/blocks.h>

namespace tenon::formats {
namespace {

template <size_t N>
constexpr tenon_str text(const char (&literal)[N]) {
    return {literal, N - 1};
}

constexpr tenon_format floats(tenon_str id, uint32_t dtype, uint32_t bytes) {
    tenon_format f{};
    f.size = sizeof(tenon_format);
    f.cls = TENON_FORMAT_FLOAT;
    f.id = id;
    f.bits = bytes * 8;
    f.group = 1;
    f.block_elems = 1;
    f.block_bytes = bytes;
    f.scale_type = dtype;
    return f;
}

// Blocks of kBlockElems codes with a binary16 scale at byte 0.
constexpr tenon_format affine(tenon_str id, uint32_t bits, uint32_t packing, size_t block_bytes,
                              size_t codes_offset, int32_t zero_point) {
    tenon_format f{};
    f.size = sizeof(tenon_format);
    f.cls = TENON_FORMAT_AFFINE_GROUP;
    f.id = id;
    f.bits = bits;
    f.group = kBlockElems;
    f.block_elems = kBlockElems;
    f.block_bytes = static_cast<uint32_t>(block_bytes);
    f.packing = packing;
    f.codes_offset = static_cast<uint32_t>(codes_offset);
    f.scale_type = TENON_F16;
    f.zero_point = zero_point;
    return f;
}

constexpr tenon_format with_min(tenon_format f, size_t min_offset) {
    f.min_type = TENON_F16;
    f.min_offset = static_cast<uint32_t>(min_offset);
    return f;
}

constexpr std::array kFormats{
    StoredFormat{0, "f32", floats(text("gguf.f32/0"), TENON_F32, 4)},
    StoredFormat{1, "f16", floats(text("gguf.f16/0"), TENON_F16, 2)},
    StoredFormat{2, "q4_0",
                 affine(text("gguf.q4_0/0"), 4, TENON_PACK_NIBBLE_HALVES, sizeof(BlockQ4_0),
                        offsetof(BlockQ4_0, qs), 8)},
    StoredFormat{3, "q4_1",
                 with_min(affine(text("gguf.q4_1/0"), 4, TENON_PACK_NIBBLE_HALVES,
                                 sizeof(BlockQ4_1), offsetof(BlockQ4_1, qs), 0),
                          offsetof(BlockQ4_1, m))},
    StoredFormat{8, "q8_0",
                 affine(text("gguf.q8_0/0"), 8, TENON_PACK_BYTES, sizeof(BlockQ8_0),
                        offsetof(BlockQ8_0, qs), 0)},
    StoredFormat{30, "bf16", floats(text("gguf.bf16/0"), TENON_BF16, 2)},
};

// Numbers and names as the constants of the PyPI package gguf 0.19.0 list them.
struct TypeName {
    uint32_t type;
    std::string_view name;
};
constexpr std::array kTypeNames{
    TypeName{0, "f32"},     TypeName{1, "f16"},      TypeName{2, "q4_0"},
    TypeName{3, "q4_1"},    TypeName{6, "q5_0"},     TypeName{7, "q5_1"},
    TypeName{8, "q8_0"},    TypeName{9, "q8_1"},     TypeName{10, "q2_k"},
    TypeName{11, "q3_k"},   TypeName{12, "q4_k"},    TypeName{13, "q5_k"},
    TypeName{14, "q6_k"},   TypeName{15, "q8_k"},    TypeName{16, "iq2_xxs"},
    TypeName{17, "iq2_xs"}, TypeName{18, "iq3_xxs"}, TypeName{19, "iq1_s"},
    TypeName{20, "iq4_nl"}, TypeName{21, "iq3_s"},   TypeName{22, "iq2_s"},
    TypeName{23, "iq4_xs"}, TypeName{24, "i8"},      TypeName{25, "i16"},
    TypeName{26, "i32"},    TypeName{27, "i64"},     TypeName{28, "f64"},
    TypeName{29, "iq1_m"},  TypeName{30, "bf16"},    TypeName{34, "tq1_0"},
    TypeName{35, "tq2_0"},  TypeName{39, "mxfp4"},   TypeName{40, "nvfp4"},
    TypeName{41, "q1_0"},
};

}  // namespace

std::span<const StoredFormat> stored_formats() noexcept {
    return kFormats;
}

const StoredFormat* find_gguf_format(uint32_t gguf_type) noexcept {
    for (const StoredFormat& format : kFormats)
        if (format.gguf_type == gguf_type) return &format;
    return nullptr;
}

const StoredFormat* find_format(std::string_view name_or_id) noexcept {
    for (const StoredFormat& format : kFormats)
        if (format.name == name_or_id ||
            std::string_view(format.format.id.p, format.format.id.n) == name_or_id)
            return &format;
    return nullptr;
}

std::string_view gguf_type_name(uint32_t gguf_type) noexcept {
    for (const TypeName& entry : kTypeNames)
        if (entry.type == gguf_type) return entry.name;
    return {};
}

CheckedSize stored_bytes(const tenon_format& format, std::span<const uint64_t> dims) noexcept {
    CheckedSize elements = 1;
    for (const uint64_t dim : dims)
        elements = elements * dim;
    constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
    if (!elements.fits(std::numeric_limits<int64_t>::max())) return CheckedSize(kMax) + 1;
    return CheckedSize(elements.value() / format.block_elems) * format.block_bytes;
}

}  // namespace tenon::formats
