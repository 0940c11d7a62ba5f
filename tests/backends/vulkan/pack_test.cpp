#include "backends/vulkan/pack.h"

#include <cmath>
#include <string>

#include "tests/backends/vulkan/packed.h"

namespace tenon::vulkan {
namespace {

using kernels::testing::decoded;
using kernels::testing::random_format;
using kernels::testing::random_stored;
using kernels::testing::test_formats;

PackedLayout layout_of(const char* name) {
    return choose_layout(formats::find_format(name)->format);
}

void expect_same_values(const tenon_format& format, uint32_t rows, uint32_t cols, uint32_t seed) {
    const std::vector<uint8_t> stored = random_stored(format, rows, cols, seed);
    const std::vector<float> want = decoded(format, stored, rows, cols);
    const std::vector<float> seen = testing::unpacked(testing::packed(format, stored, rows, cols));
    for (size_t i = 0; i < want.size(); ++i)
        ASSERT_EQ(seen[i], want[i]) << "row " << i / cols << " column " << i % cols;
}

TEST(Pack, KeepsEveryValueOfEveryFormat) {
    for (const auto& test : test_formats()) {
        SCOPED_TRACE(test.name);
        for (const uint32_t blocks : {1u, 2u, 5u})
            expect_same_values(test.format, 3, blocks * test.format.block_elems, blocks);
    }
}

TEST(Pack, KeepsEveryValueOfRandomFormats) {
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        SCOPED_TRACE(seed);
        const auto random = random_format(seed);
        expect_same_values(random.format, 2, 3 * random.format.block_elems, seed);
    }
}

TEST(Pack, FollowsTheDescription) {
    const PackedLayout q4_1 = layout_of("q4_1");
    EXPECT_EQ(q4_1.cls, PackedClass::kCodes);
    EXPECT_EQ(q4_1.lo_bits, 4u);
    EXPECT_EQ(q4_1.hi_bits, 0u);
    EXPECT_EQ(q4_1.group, 32u);
    EXPECT_TRUE(q4_1.has_min && !q4_1.has_lut);
    EXPECT_EQ(q4_1.scale_mode, ScaleMode::kFloat16);
    EXPECT_EQ(q4_1.outer + q4_1.scale_bits, 0u);
    const PackedLayout q8_0 = layout_of("q8_0");
    EXPECT_EQ(q8_0.lo_bits, 8u);
    EXPECT_EQ(q8_0.zero, 128);
    EXPECT_TRUE(q8_0.scale_mode == ScaleMode::kFloat16 && !q8_0.has_min);
    const PackedLayout q6_k = layout_of("q6_k");
    EXPECT_EQ(q6_k.lo_bits, 4u);
    EXPECT_EQ(q6_k.hi_bits, 2u);
    EXPECT_EQ(q6_k.group, 16u);
    EXPECT_EQ(q6_k.zero, 32);
    // Signed codes of scales under a binary16 scale.
    EXPECT_EQ(q6_k.scale_mode, ScaleMode::kFloat16);
    EXPECT_EQ(q6_k.outer, 256u);
    EXPECT_EQ(q6_k.scale_bits, 8u);
    EXPECT_EQ(q6_k.scale_zero, 128);
    const PackedLayout q2_k = layout_of("q2_k");
    EXPECT_EQ(q2_k.scale_bits, 4u);
    EXPECT_TRUE(q2_k.has_min);
    const PackedLayout iq4_xs = layout_of("iq4_xs");
    EXPECT_EQ(iq4_xs.scale_zero, 32);
    EXPECT_TRUE(iq4_xs.has_lut);
    // One scale for as many columns as it has.
    EXPECT_EQ(layout_of("tq2_0").group, 256u);
    const PackedLayout q3_k = layout_of("q3_k");
    EXPECT_EQ(q3_k.lo_bits, 2u);
    EXPECT_EQ(q3_k.hi_bits, 1u);
    // Half-integer levels: doubled, with the half in the scales.
    const PackedLayout mxfp4 = layout_of("mxfp4");
    EXPECT_TRUE(mxfp4.has_lut);
    EXPECT_EQ(mxfp4.scale_mode, ScaleMode::kExponent);
    EXPECT_EQ(mxfp4.scale_zero, 128);
    EXPECT_EQ(mxfp4.lut[7], 12);
    EXPECT_EQ(mxfp4.lut[15], -12);
    EXPECT_EQ(layout_of("f16").cls, PackedClass::kFloat16);
    EXPECT_EQ(layout_of("bf16").cls, PackedClass::kBfloat16);
    EXPECT_EQ(layout_of("f32").cls, PackedClass::kFloat32);
    EXPECT_TRUE(layout_of("q4_0") != layout_of("iq4_nl"));
    EXPECT_TRUE(layout_of("q4_k") == layout_of("q4_k"));
    // Groups that share no half block of 32 columns are floats.
    for (const auto& test : test_formats())
        if (test.format.group == 24) {
            EXPECT_EQ(choose_layout(test.format).cls, PackedClass::kFloat32);
        }
}

TEST(Pack, RowsStartAtSixteenBytes) {
    for (const auto& test : test_formats()) {
        SCOPED_TRACE(test.name);
        const PackedLayout layout = choose_layout(test.format);
        const PlaneBytes bytes = row_bytes(layout, 7 * test.format.block_elems);
        EXPECT_EQ(bytes.lo % 16 + bytes.hi % 16 + bytes.scale % 16, 0u);
        EXPECT_GT(bytes.lo, 0u);
        EXPECT_EQ(bytes.hi == 0, layout.hi_bits == 0);
        EXPECT_EQ(bytes.scale == 0, layout.cls != PackedClass::kCodes);
    }
    // 20 bytes a block of 32 as stored, as packed: 18 blocks are 16 bytes a block and 80 bytes.
    const PlaneBytes q4_1 = row_bytes(layout_of("q4_1"), 576);
    EXPECT_EQ(q4_1.lo, 288u);
    EXPECT_EQ(q4_1.scale, 80u);
    // Two outer scales with their mins in 8 bytes, then 16 groups of two bytes.
    const PlaneBytes q4_k = row_bytes(layout_of("q4_k"), 512);
    EXPECT_EQ(q4_k.lo, 256u);
    EXPECT_EQ(q4_k.scale, 48u);
}

// What the device holds of a wide row against what the file holds.
TEST(Pack, TakesLittleMoreThanTheFile) {
    for (const formats::StoredFormat& stored : formats::stored_formats()) {
        SCOPED_TRACE(stored.name);
        constexpr uint32_t kCols = 8192;
        const PackedLayout layout = choose_layout(stored.format);
        const auto held = static_cast<double>(row_bytes(layout, kCols).total());
        const auto in_file = static_cast<double>(stored_row_bytes(stored.format, kCols));
        // Five digits of three states in a byte become two bits each.
        const bool ternary =
            stored.format.packing == TENON_PACK_FIELDS && stored.format.code_fields[0].radix == 3;
        EXPECT_LE(held, in_file * (ternary ? 1.25 : 1.05));
    }
}

// The exponents 255, 1 and 0 of E8M0 and binary16 scales below the normal numbers.
TEST(Pack, KeepsExtremeScales) {
    const tenon_format& mxfp4 = formats::find_format("mxfp4")->format;
    const tenon_format& q4_0 = formats::find_format("q4_0")->format;
    for (const tenon_format* format : {&mxfp4, &q4_0}) {
        std::vector<uint8_t> stored = random_stored(*format, 1, 128, 7);
        const uint8_t scales[4][2] = {{0x01, 0x00}, {0xff, 0x7b}, {0x00, 0x80}, {0xff, 0x03}};
        const uint8_t exponents[4] = {255, 2, 1, 0};
        for (uint32_t block = 0; block < 4; ++block) {
            uint8_t* at = stored.data() + block * format->block_bytes + format->scale_offset;
            if (format == &mxfp4)
                *at = exponents[block];
            else
                std::memcpy(at, scales[block], 2);
        }
        const std::vector<float> want = decoded(*format, stored, 1, 128);
        const std::vector<float> seen = testing::unpacked(testing::packed(*format, stored, 1, 128));
        for (size_t i = 0; i < want.size(); ++i)
            EXPECT_EQ(seen[i], want[i]) << i;
    }
}

TEST(Pack, ConstantsOfTheDecoderSayTheLayout) {
    const DecodeConstants iq4 = decode_constants(layout_of("iq4_nl"));
    const auto of = [&](uint32_t id) { return iq4.word[id - TENON_DECODE_SPEC_FIRST]; };
    EXPECT_EQ(of(TENON_SPEC_CLS), uint32_t{TENON_PACKED_CODES});
    EXPECT_EQ(of(TENON_SPEC_LO_BITS), 4u);
    EXPECT_EQ(of(TENON_SPEC_HAS_LUT), 1u);
    EXPECT_EQ(of(TENON_SPEC_LUT_0), 0xbfad9881u);  // -127 -104 -83 -65
    EXPECT_EQ(of(TENON_SPEC_LUT_3), 0x71594535u);  // 53 69 89 113
    const DecodeConstants q3 = decode_constants(layout_of("q3_k"));
    EXPECT_EQ(q3.word[TENON_SPEC_OUTER - TENON_DECODE_SPEC_FIRST], 256u);
    EXPECT_EQ(q3.word[TENON_SPEC_SCALE_BITS - TENON_DECODE_SPEC_FIRST], 8u);
    EXPECT_EQ(q3.word[TENON_SPEC_SCALE_ZERO - TENON_DECODE_SPEC_FIRST], 32u);
}

}  // namespace
}  // namespace tenon::vulkan
