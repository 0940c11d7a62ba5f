#include <gtest/gtest.h>

#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

void expect_rows_back(const tenon_format& format, uint32_t rows, uint32_t cols, uint32_t seed,
                      const std::string& name) {
    const PackedCase c = packed_case(format, rows, cols, seed);
    std::vector<float> row(cols);
    for (uint32_t r = 0; r < rows; ++r) {
        unpack_row(c.layout, c.packed.data(), cols, r, row.data());
        for (uint32_t col = 0; col < cols; ++col) {
            const float want = c.values[size_t{r} * cols + col];
            const double far = is_quantised(c.layout.format) ? 1e-6 * (1 + std::fabs(want)) : 0.0;
            ASSERT_NEAR(row[col], want, far)
                << name << " as " << format_name(c.layout.format) << " row " << r << " col " << col;
        }
    }
}

class PackFormat : public ::testing::TestWithParam<TestFormat> {};

TEST_P(PackFormat, RowsComeBackAsTheReferenceDecodesThem) {
    const auto& [name, format] = GetParam();
    const uint32_t unit = format.block_elems == 1 ? 7 : format.block_elems;
    for (uint32_t rows : {1u, 16u, 37u})
        for (uint32_t blocks : {1u, 5u}) {
            expect_rows_back(format, rows, unit * blocks, rows * 100 + blocks, name);
            if (HasFatalFailure()) return;
        }
}

TEST_P(PackFormat, PaddingRowsAreZero) {
    const tenon_format& format = GetParam().format;
    const uint32_t cols = format.block_elems == 1 ? 7 : format.block_elems;
    const PackedCase c = packed_case(format, 3, cols, 5);
    std::vector<float> row(cols, 1.0f);
    for (uint32_t r = 3; r < 16; ++r) {
        unpack_row(c.layout, c.packed.data(), cols, r, row.data());
        for (float value : row)
            ASSERT_EQ(value, 0.0f);
    }
}

std::string format_title(const ::testing::TestParamInfo<TestFormat>& info) {
    return info.param.name;
}
INSTANTIATE_TEST_SUITE_P(All, PackFormat, ::testing::ValuesIn(test_formats()), format_title);

TEST(Pack, RandomDescriptionsComeBackAsTheReferenceDecodesThem) {
    bool reached[kPackedFormatCount] = {};
    for (uint32_t seed = 1; seed <= 600; ++seed) {
        const RandomFormat made = random_format(seed);
        reached[static_cast<size_t>(choose_layout(made.format).format)] = true;
        expect_rows_back(made.format, 17, made.format.block_elems * 2, seed,
                         "seed " + std::to_string(seed));
        if (HasFatalFailure()) return;
    }
    for (PackedFormat format : {PackedFormat::kF32, PackedFormat::kSuperS4, PackedFormat::kSuperU4,
                                PackedFormat::kSuperS8})
        EXPECT_TRUE(reached[static_cast<size_t>(format)]) << format_name(format);
}

// What a file's formats become: their speed and their memory hang on it.
TEST(Pack, FormatsHaveTheLayoutsTheirDescriptionsAllow) {
    const std::pair<const char*, PackedFormat> kWanted[] = {
        {"f32", PackedFormat::kF32},
        {"f16", PackedFormat::kF16},
        {"bf16", PackedFormat::kBf16},
        {"q4_0", PackedFormat::kQ4_0},
        {"q4_1", PackedFormat::kQ4_1},
        {"q5_0", PackedFormat::kQ8_0},
        {"q5_1", PackedFormat::kQ8_1},
        {"q8_0", PackedFormat::kQ8_0},
        {"q2_k", PackedFormat::kSuperS4},
        {"q3_k", PackedFormat::kSuperS4},
        {"q4_k", PackedFormat::kSuperU4},
        {"q5_k", PackedFormat::kSuperS8},
        {"q6_k", PackedFormat::kSuperS8},
        {"q8_k", PackedFormat::kSuperS8},
        {"iq4_nl", PackedFormat::kQ8_0},
        {"iq4_xs", PackedFormat::kSuperS8},
        {"tq1_0", PackedFormat::kSuperS4},
        {"tq2_0", PackedFormat::kSuperS4},
        {"mxfp4", PackedFormat::kSuperS8},
        {"uneven_codebook_3_bits_96", PackedFormat::kF32},
        {"quarters_codebook_3_bits_96", PackedFormat::kSuperS8},
        {"groups_of_16", PackedFormat::kF32},
        {"blocks_of_24", PackedFormat::kF32},
    };
    for (const auto& [name, wanted] : kWanted) {
        bool found = false;
        for (const TestFormat& format : test_formats()) {
            if (format.name != name) continue;
            found = true;
            EXPECT_STREQ(format_name(choose_layout(format.format).format), format_name(wanted))
                << name;
        }
        EXPECT_TRUE(found) << name;
    }
}

TEST(Pack, AFormatWithItsOwnLayoutIsAsLargeAsStored) {
    for (const char* name : {"f32", "f16", "bf16", "q4_0", "q4_1", "q8_0"})
        for (const TestFormat& format : test_formats())
            if (format.name == name) {
                EXPECT_EQ(group_bytes(choose_layout(format.format), 576),
                          16 * stored_row_bytes(format.format, 576))
                    << name;
            }
}

}  // namespace
}  // namespace tenon::kernels
