#include "core/formats/format_list.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <tenon/blocks.h>
#include <tenon/reference/dequant.h>

namespace tenon::formats {
namespace {

constexpr int64_t kRows = 3, kCols = 512;  // as golden/make.py

TEST(FormatList, HasOneRowPerFormat) {
    ASSERT_EQ(stored_formats().size(), 19u);
    for (const StoredFormat& format : stored_formats()) {
        SCOPED_TRACE(format.name);
        EXPECT_EQ(find_gguf_format(format.gguf_type), &format);
        EXPECT_EQ(find_format(format.name), &format);
        const std::string id(format.format.id.p, format.format.id.n);
        EXPECT_EQ(id, "gguf." + std::string(format.name) + "/0");
        EXPECT_EQ(find_format(id), &format);
        EXPECT_EQ(gguf_type_name(format.gguf_type), format.name);
        EXPECT_EQ(format.format.size, sizeof(tenon_format));
        EXPECT_EQ(reference::format_problem(format.format), nullptr);
    }
    EXPECT_EQ(find_gguf_format(16), nullptr);
    EXPECT_EQ(gguf_type_name(16), "iq2_xxs");
    EXPECT_EQ(gguf_type_name(4), "");
    EXPECT_EQ(find_format("iq2_xxs"), nullptr);
}

TEST(FormatList, StoredBytesCountsBlocksAndSeesOverflow) {
    const tenon_format& q4_1 = find_format("q4_1")->format;
    EXPECT_EQ(stored_bytes(q4_1, std::vector<uint64_t>{64, 3}).value(), 2u * 3 * sizeof(BlockQ4_1));
    const tenon_format& f32 = find_format("f32")->format;
    EXPECT_EQ(stored_bytes(f32, std::vector<uint64_t>{5, 2, 3}).value(), 120u);
    for (const std::vector<uint64_t>& dims : std::vector<std::vector<uint64_t>>{
             {1ull << 32, 1ull << 32}, {1ull << 63}, {1ull << 62, 1}, {~0ull, ~0ull, ~0ull, ~0ull}})
        EXPECT_FALSE(stored_bytes(f32, dims).ok());
}

// Every bit of the golden floats, for every format: the products are exact in binary32, so neither
// contraction nor order may show.
TEST(FormatList, ReferenceDecodesTheGoldenRows) {
    for (const StoredFormat& stored : stored_formats()) {
        SCOPED_TRACE(stored.name);
        const std::string path = std::string(TENON_SOURCE_DIR "/tests/core/formats/golden/") +
                                 std::string(stored.name) + ".bin";
        std::ifstream in(path, std::ios::binary);
        const std::string bytes{std::istreambuf_iterator<char>(in), {}};
        const uint64_t row_bytes =
            stored_bytes(stored.format, std::vector<uint64_t>{kCols}).value();
        ASSERT_EQ(bytes.size(), kRows * (row_bytes + kCols * sizeof(float))) << path;
        for (int64_t row = 0; row < kRows; ++row) {
            std::vector<float> want(kCols), seen(kCols);
            std::memcpy(want.data(), bytes.data() + kRows * row_bytes + row * kCols * sizeof(float),
                        kCols * sizeof(float));
            ASSERT_TRUE(reference::dequant_row(stored.format, bytes.data() + row * row_bytes, kCols,
                                               seen.data()));
            for (int64_t i = 0; i < kCols; ++i)
                EXPECT_EQ(seen[i], want[i]) << "row " << row << " column " << i;
        }
    }
}

TEST(Dequant, ReadsEveryBinary16) {
    EXPECT_EQ(reference::float_from_f16(0x3c00), 1.0f);
    EXPECT_EQ(reference::float_from_f16(0xc000), -2.0f);
    EXPECT_EQ(reference::float_from_f16(0x7bff), 65504.0f);
    EXPECT_EQ(reference::float_from_f16(0x0001), std::ldexp(1.0f, -24));
    EXPECT_EQ(reference::float_from_f16(0x03ff), 1023 * std::ldexp(1.0f, -24));
    EXPECT_TRUE(std::signbit(reference::float_from_f16(0x8000)));
    EXPECT_EQ(reference::float_from_f16(0x7c00), std::numeric_limits<float>::infinity());
    EXPECT_TRUE(std::isnan(reference::float_from_f16(0x7e00)));
    for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
        const int exponent = static_cast<int>(bits >> 10);
        const int mantissa = static_cast<int>(bits & 0x3ff);
        const double want =
            exponent ? std::ldexp(1024 + mantissa, exponent - 25) : std::ldexp(mantissa, -24);
        ASSERT_EQ(reference::float_from_f16(static_cast<uint16_t>(bits)), want) << bits;
    }
}

// What fields_problem lets pass never reads outside of a block: moved by one byte, it is refused.
TEST(Dequant, RefusesFieldsThatLeaveTheBlock) {
    for (const StoredFormat& stored : stored_formats()) {
        SCOPED_TRACE(stored.name);
        if (stored.format.n_code_fields == 0) continue;
        const std::vector<tenon_bit_field> fields(
            stored.format.code_fields, stored.format.code_fields + stored.format.n_code_fields);
        for (size_t at = 0; at < fields.size(); ++at) {
            const auto refused = [&](auto change) {
                std::vector<tenon_bit_field> changed = fields;
                change(changed[at]);
                tenon_format f = stored.format;
                f.code_fields = changed.data();
                return reference::format_problem(f) != nullptr;
            };
            using Field = tenon_bit_field;
            EXPECT_TRUE(refused([&](Field& f) { f.offset = stored.format.block_bytes; }));
            EXPECT_TRUE(refused([](Field& f) { f.offset = 0xfffffff0u; }));
            EXPECT_TRUE(refused([](Field& f) { f.lanes = 0; }));
            EXPECT_TRUE(refused([](Field& f) { f.lanes = 0x7fffffff; }));
            EXPECT_TRUE(refused([](Field& f) { f.bits = 9; }));
            EXPECT_TRUE(refused([](Field& f) { f.bits = 0; }));
            EXPECT_TRUE(refused([](Field& f) { f.shift = 8; }));
            EXPECT_TRUE(refused([](Field& f) { f.radix = 7; }));
            EXPECT_TRUE(refused([](Field& f) { f.place = 8; }));
            EXPECT_TRUE(refused([](Field& f) { f.count = 257; }));
            EXPECT_TRUE(refused([](Field& f) { ++f.first; }));
            EXPECT_TRUE(refused([](Field& f) { f.count = 0; }));
        }
    }
}

// Formats nobody stores yet decode from their description alone.
TEST(Dequant, FollowsTheDescription) {
    tenon_format f{};
    f.size = sizeof f;
    f.cls = TENON_FORMAT_AFFINE_GROUP;
    f.bits = 3;
    f.group = 4;
    f.block_elems = 8;
    f.packing = TENON_PACK_LSB_FIRST;
    f.scale_type = TENON_F32;  // two groups: bytes 0 and 4
    f.codes_offset = 8;
    f.zero_point = 4;
    f.block_bytes = 11;
    unsigned char block[11] = {};
    const float scales[2] = {0.5f, 2.0f};
    std::memcpy(block, scales, sizeof scales);
    uint32_t codes = 0;  // 3-bit codes 0 .. 7
    for (uint32_t i = 0; i < 8; ++i)
        codes |= i << (3 * i);
    std::memcpy(block + 8, &codes, 3);
    float out[8];
    ASSERT_EQ(reference::format_problem(f), nullptr);
    ASSERT_TRUE(reference::dequant_row(f, block, 8, out));
    const float want[8] = {-2.0f, -1.5f, -1.0f, -0.5f, 0.0f, 2.0f, 4.0f, 6.0f};
    for (int i = 0; i < 8; ++i)
        EXPECT_EQ(out[i], want[i]) << i;

    const float lut[8] = {0, 1, 10, 100, -1, -10, -100, 7};
    f.cls = TENON_FORMAT_LUT_GROUP;
    f.lut = lut;
    f.lut_n = 8;
    ASSERT_TRUE(reference::dequant_row(f, block, 8, out));
    EXPECT_EQ(out[3], 50.0f);
    EXPECT_EQ(out[7], 14.0f);
    EXPECT_FALSE(reference::dequant_row(f, block, 7, out)) << "half a block";
}

TEST(Dequant, RefusesDescriptionsThatLeaveTheBlock) {
    const tenon_format good = find_format("q4_1")->format;
    const auto problem = [&](auto change) {
        tenon_format f = good;
        change(f);
        float out[32];
        const unsigned char block[32] = {};
        EXPECT_EQ(reference::dequant_row(f, block, 32, out),
                  reference::format_problem(f) == nullptr);
        const char* text = reference::format_problem(f);
        return std::string(text ? text : "");
    };
    EXPECT_EQ(problem([](tenon_format&) {}), "");
    EXPECT_NE(problem([](tenon_format& f) { f.block_elems = 0; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.codes_offset = 5; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.scale_offset = 19; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.min_offset = 0xffffffffu; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.group = 0; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.group = 5; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.packing = 9; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.cls = TENON_FORMAT_OPAQUE; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.cls = TENON_FORMAT_LUT_GROUP; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.scale_type = TENON_I8; }), "");
    EXPECT_NE(problem([](tenon_format& f) { f.bits = 0; }), "");
}

}  // namespace
}  // namespace tenon::formats
