#include <gtest/gtest.h>

#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

constexpr PackedFormat kFormats[] = {PackedFormat::kF32,  PackedFormat::kF16,
                                     PackedFormat::kBf16, PackedFormat::kQ4_0,
                                     PackedFormat::kQ4_1, PackedFormat::kQ8_0};

class PackFormat : public ::testing::TestWithParam<PackedFormat> {};

TEST_P(PackFormat, RowsComeBackAsStored) {
    const PackedFormat format = GetParam();
    for (uint32_t rows : {1u, 16u, 37u}) {
        for (uint32_t cols : {32u, 96u, 544u}) {
            const PackedCase c = packed_case(format, rows, cols, rows * 100 + cols);
            const size_t stride = stored_row_bytes(format, cols);
            std::vector<float> row(cols);
            for (uint32_t r = 0; r < rows; ++r) {
                unpack_row(format, c.packed.data(), cols, r, row.data());
                for (uint32_t col = 0; col < cols; ++col) {
                    const double want = stored_value(format, c.stored.data() + r * stride, col);
                    ASSERT_NEAR(row[col], want, 1e-6 * (1 + std::fabs(want)))
                        << format_name(format) << " row " << r << " col " << col;
                }
            }
        }
    }
}

TEST_P(PackFormat, PaddingRowsAreZero) {
    const PackedFormat format = GetParam();
    const PackedCase c = packed_case(format, 3, 64, 5);
    std::vector<float> row(64, 1.0f);
    for (uint32_t r = 3; r < 16; ++r) {
        unpack_row(format, c.packed.data(), 64, r, row.data());
        for (float value : row) ASSERT_EQ(value, 0.0f);
    }
}

TEST_P(PackFormat, PackedIsAsLargeAsStoredForWholeGroups) {
    const PackedFormat format = GetParam();
    EXPECT_EQ(group_bytes(format, 576), 16 * stored_row_bytes(format, 576));
}

INSTANTIATE_TEST_SUITE_P(All, PackFormat, ::testing::ValuesIn(kFormats),
                         [](const auto& named) { return std::string(format_name(named.param)); });

} // namespace
} // namespace tenon::kernels
