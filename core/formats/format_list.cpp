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

// One digit of `bits` bits of each of `count` codes: tenon_bit_field says how lanes lie.
constexpr tenon_bit_field digits(uint32_t first, uint32_t count, size_t offset, uint32_t lanes,
                                 uint32_t bits, uint32_t shift = 0, uint32_t place = 0) {
    return {first, count, static_cast<uint32_t>(offset), lanes, 2, bits, shift, place};
}

constexpr tenon_bit_field trits(uint32_t first, uint32_t count, size_t offset, uint32_t lanes) {
    return {first, count, static_cast<uint32_t>(offset), lanes, 3, 2, 0, 0};
}

template <size_t N>
constexpr tenon_format with_codes(tenon_format f, uint32_t bits, int32_t zero_point,
                                  const tenon_bit_field (&fields)[N]) {
    f.packing = TENON_PACK_FIELDS;
    f.codes_offset = 0;
    f.bits = bits;
    f.zero_point = zero_point;
    f.code_fields = fields;
    f.n_code_fields = N;
    return f;
}

// Super-blocks of 256 elements with a binary16 scale at `scale_offset`, codes to come.
constexpr tenon_format super(tenon_str id, uint32_t group, size_t block_bytes,
                             size_t scale_offset) {
    tenon_format f = affine(id, 8, TENON_PACK_BYTES, block_bytes, 0, 0);
    f.group = group;
    f.block_elems = kSuperElems;
    f.scale_offset = static_cast<uint32_t>(scale_offset);
    return f;
}

template <size_t N>
constexpr tenon_format with_scale_codes(tenon_format f, int32_t zero, uint32_t flags,
                                        const tenon_bit_field (&fields)[N]) {
    f.scale_zero = zero;
    f.flags |= flags;
    f.scale_fields = fields;
    f.n_scale_fields = N;
    return f;
}

template <size_t N>
constexpr tenon_format with_min_codes(tenon_format f, size_t min_offset,
                                      const tenon_bit_field (&fields)[N]) {
    f = with_min(f, min_offset);
    f.flags |= TENON_FORMAT_MIN_SUBTRACTED;
    f.min_fields = fields;
    f.n_min_fields = N;
    return f;
}

template <size_t N>
constexpr tenon_format with_codebook(tenon_format f, const float (&codebook)[N]) {
    f.cls = TENON_FORMAT_LUT_GROUP;
    f.zero_point = 0;
    f.lut = codebook;
    f.lut_n = N;
    return f;
}

constexpr tenon_bit_field kQ5_0Codes[] = {digits(0, 32, offsetof(BlockQ5_0, qs), 16, 4),
                                          digits(0, 32, offsetof(BlockQ5_0, qh), 1, 1, 0, 4)};
constexpr tenon_bit_field kQ5_1Codes[] = {digits(0, 32, offsetof(BlockQ5_1, qs), 16, 4),
                                          digits(0, 32, offsetof(BlockQ5_1, qh), 1, 1, 0, 4)};

constexpr tenon_bit_field kQ2KCodes[] = {digits(0, 256, offsetof(BlockQ2K, qs), 32, 2)};
constexpr tenon_bit_field kQ2KScales[] = {digits(0, 16, offsetof(BlockQ2K, scales), 16, 4)};
constexpr tenon_bit_field kQ2KMins[] = {digits(0, 16, offsetof(BlockQ2K, scales), 16, 4, 4)};

constexpr tenon_bit_field kQ3KCodes[] = {digits(0, 256, offsetof(BlockQ3K, qs), 32, 2),
                                         digits(0, 256, offsetof(BlockQ3K, hmask), 32, 1, 0, 2)};
constexpr tenon_bit_field kQ3KScales[] = {
    digits(0, 16, offsetof(BlockQ3K, scales), 8, 4),
    digits(0, 16, offsetof(BlockQ3K, scales) + 8, 4, 2, 0, 4)};

// Twelve bytes: 6-bit scales and mins of groups 0 to 3 in bytes 0 to 7, of groups 4 to 7 in the
// nibbles of bytes 8 to 11 and the spare upper bits.
constexpr size_t kQ4KPacked = offsetof(BlockQ4K, scales);
static_assert(kQ4KPacked == offsetof(BlockQ5K, scales));
constexpr tenon_bit_field kQ4KScales[] = {digits(0, 4, kQ4KPacked, 4, 6),
                                          digits(4, 4, kQ4KPacked + 8, 4, 4),
                                          digits(4, 4, kQ4KPacked, 4, 2, 6, 4)};
constexpr tenon_bit_field kQ4KMins[] = {digits(0, 4, kQ4KPacked + 4, 4, 6),
                                        digits(4, 4, kQ4KPacked + 8, 4, 4, 4),
                                        digits(4, 4, kQ4KPacked + 4, 4, 2, 6, 4)};
constexpr tenon_bit_field kQ4KCodes[] = {digits(0, 256, offsetof(BlockQ4K, qs), 32, 4)};
constexpr tenon_bit_field kQ5KCodes[] = {digits(0, 256, offsetof(BlockQ5K, qs), 32, 4),
                                         digits(0, 256, offsetof(BlockQ5K, qh), 32, 1, 0, 4)};

constexpr tenon_bit_field kQ6KCodes[] = {digits(0, 256, offsetof(BlockQ6K, ql), 64, 4),
                                         digits(0, 256, offsetof(BlockQ6K, qh), 32, 2, 0, 4)};
constexpr tenon_bit_field kQ6KScales[] = {digits(0, 16, offsetof(BlockQ6K, scales), 1, 8)};

constexpr tenon_bit_field kIQ4XSCodes[] = {digits(0, 256, offsetof(BlockIQ4XS, qs), 16, 4)};
constexpr tenon_bit_field kIQ4XSScales[] = {
    digits(0, 8, offsetof(BlockIQ4XS, scales_l), 1, 4),
    digits(0, 8, offsetof(BlockIQ4XS, scales_h), 1, 2, 0, 4)};

constexpr tenon_bit_field kTQ1Codes[] = {trits(0, 160, offsetof(BlockTQ1_0, qs), 32),
                                         trits(160, 80, offsetof(BlockTQ1_0, qs) + 32, 16),
                                         trits(240, 16, offsetof(BlockTQ1_0, qh), 4)};
constexpr tenon_bit_field kTQ2Codes[] = {digits(0, 256, offsetof(BlockTQ2_0, qs), 32, 2)};

// Levels of IQ4_NL and IQ4_XS: the constants of the PyPI package gguf.
constexpr float kIQ4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
// OCP microscaling, FP4 E2M1.
constexpr float kE2M1Levels[16] = {0,     0.5f,  1,  1.5f,  2,  3,  4,  6,
                                   -0.0f, -0.5f, -1, -1.5f, -2, -3, -4, -6};

constexpr tenon_format mxfp4() {
    tenon_format f = affine(text("gguf.mxfp4/0"), 4, TENON_PACK_NIBBLE_HALVES, sizeof(BlockMXFP4),
                            offsetof(BlockMXFP4, qs), 0);
    f.scale_type = TENON_E8M0;
    return with_codebook(f, kE2M1Levels);
}

constexpr tenon_format q8_k() {
    tenon_format f =
        super(text("gguf.q8_k/0"), kSuperElems, sizeof(BlockQ8K), offsetof(BlockQ8K, d));
    f.codes_offset = offsetof(BlockQ8K, qs);
    f.scale_type = TENON_F32;
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
    StoredFormat{
        6, "q5_0",
        with_codes(affine(text("gguf.q5_0/0"), 5, 0, sizeof(BlockQ5_0), 0, 0), 5, 16, kQ5_0Codes)},
    StoredFormat{7, "q5_1",
                 with_codes(with_min(affine(text("gguf.q5_1/0"), 5, 0, sizeof(BlockQ5_1), 0, 0),
                                     offsetof(BlockQ5_1, m)),
                            5, 0, kQ5_1Codes)},
    StoredFormat{8, "q8_0",
                 affine(text("gguf.q8_0/0"), 8, TENON_PACK_BYTES, sizeof(BlockQ8_0),
                        offsetof(BlockQ8_0, qs), 0)},
    StoredFormat{
        10, "q2_k",
        with_min_codes(with_scale_codes(with_codes(super(text("gguf.q2_k/0"), 16, sizeof(BlockQ2K),
                                                         offsetof(BlockQ2K, d)),
                                                   2, 0, kQ2KCodes),
                                        0, 0, kQ2KScales),
                       offsetof(BlockQ2K, dmin), kQ2KMins)},
    StoredFormat{11, "q3_k",
                 with_scale_codes(with_codes(super(text("gguf.q3_k/0"), 16, sizeof(BlockQ3K),
                                                   offsetof(BlockQ3K, d)),
                                             3, 4, kQ3KCodes),
                                  32, 0, kQ3KScales)},
    StoredFormat{
        12, "q4_k",
        with_min_codes(with_scale_codes(with_codes(super(text("gguf.q4_k/0"), 32, sizeof(BlockQ4K),
                                                         offsetof(BlockQ4K, d)),
                                                   4, 0, kQ4KCodes),
                                        0, 0, kQ4KScales),
                       offsetof(BlockQ4K, dmin), kQ4KMins)},
    StoredFormat{
        13, "q5_k",
        with_min_codes(with_scale_codes(with_codes(super(text("gguf.q5_k/0"), 32, sizeof(BlockQ5K),
                                                         offsetof(BlockQ5K, d)),
                                                   5, 0, kQ5KCodes),
                                        0, 0, kQ4KScales),
                       offsetof(BlockQ5K, dmin), kQ4KMins)},
    StoredFormat{14, "q6_k",
                 with_scale_codes(with_codes(super(text("gguf.q6_k/0"), 16, sizeof(BlockQ6K),
                                                   offsetof(BlockQ6K, d)),
                                             6, 32, kQ6KCodes),
                                  0, TENON_FORMAT_SCALE_SIGNED, kQ6KScales)},
    StoredFormat{15, "q8_k", q8_k()},
    StoredFormat{20, "iq4_nl",
                 with_codebook(affine(text("gguf.iq4_nl/0"), 4, TENON_PACK_NIBBLE_HALVES,
                                      sizeof(BlockIQ4NL), offsetof(BlockIQ4NL, qs), 0),
                               kIQ4Levels)},
    StoredFormat{23, "iq4_xs",
                 with_codebook(
                     with_scale_codes(with_codes(super(text("gguf.iq4_xs/0"), 32,
                                                       sizeof(BlockIQ4XS), offsetof(BlockIQ4XS, d)),
                                                 4, 0, kIQ4XSCodes),
                                      32, 0, kIQ4XSScales),
                     kIQ4Levels)},
    StoredFormat{30, "bf16", floats(text("gguf.bf16/0"), TENON_BF16, 2)},
    StoredFormat{34, "tq1_0",
                 with_codes(super(text("gguf.tq1_0/0"), kSuperElems, sizeof(BlockTQ1_0),
                                  offsetof(BlockTQ1_0, d)),
                            2, 1, kTQ1Codes)},
    StoredFormat{35, "tq2_0",
                 with_codes(super(text("gguf.tq2_0/0"), kSuperElems, sizeof(BlockTQ2_0),
                                  offsetof(BlockTQ2_0, d)),
                            2, 1, kTQ2Codes)},
    StoredFormat{39, "mxfp4", mxfp4()},
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

std::span<const StoredFormat> stored_formats() noexcept { return kFormats; }

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
