#include "shaders/embed/params.h"

#include <array>
#include <cfloat>
#include <cmath>
#include <set>

#include <tenon/reference/embed.h>

#include "tests/backends/vulkan/packed.h"
#include "tests/shaders/device_fixture.h"

namespace tenon::vulkan {
namespace {

using kernels::testing::decoded;
using kernels::testing::random_stored;
using kernels::testing::test_formats;
using shaders::Dispatch;
using shaders::EmbedParams;
using testing::Packed;

class EmbedTest : public shaders::DeviceTest {};

// Rows [begin, end) of the table are what the dispatch sees.
Status run(const Packed& table, const std::vector<int32_t>& ids, float scale, uint32_t begin,
           uint32_t end, std::vector<float>* y, shaders::StepError* error) {
    Dispatch dispatch("embed", "plain");
    EmbedParams params{};
    params.rows = end - begin;
    params.row_begin = begin;
    params.table_rows = table.rows;
    params.cols = table.cols;
    params.lo_stride = static_cast<uint32_t>(table.row.lo / 16);
    params.hi_stride = static_cast<uint32_t>(table.row.hi / 4);
    params.scale_stride = static_cast<uint32_t>(table.row.scale / 4);
    params.scale = scale;
    const auto slice = [&](const std::vector<uint32_t>& plane, uint64_t row_bytes) {
        return std::vector<uint32_t>(plane.begin() + static_cast<ptrdiff_t>(begin * row_bytes / 4),
                                     plane.begin() + static_cast<ptrdiff_t>(end * row_bytes / 4));
    };
    dispatch.push(params).spec(TENON_EMBED_SPEC_LOCAL, 8);
    const DecodeConstants constants = decode_constants(table.layout);
    for (uint32_t i = 0; i < TENON_DECODE_SPEC_COUNT; ++i)
        dispatch.spec(TENON_DECODE_SPEC_FIRST + i, constants.word[i]);
    const std::vector<uint32_t> lo = slice(table.lo, table.row.lo);
    const std::vector<uint32_t> hi = slice(table.hi, table.row.hi);
    const std::vector<uint32_t> scales = slice(table.scale, table.row.scale);
    dispatch.in(TENON_EMBED_IDS, ids)
        .in(TENON_EMBED_LO, lo)
        .in(TENON_EMBED_HI, hi)
        .in(TENON_EMBED_SCALE, scales)
        .out(TENON_EMBED_Y, *y);
    const uint32_t blocks = (table.cols + kBlockCols - 1) / kBlockCols;
    const auto tokens = static_cast<uint32_t>(ids.size());
    const Status status = dispatch.run({(blocks + 7) / 8, tokens, 1}, tokens);
    *error = dispatch.error();
    return status;
}

// Bit for bit: decode.glsl against the reference decoder, on seven stored rows.
void expect_decoded(const tenon_format& format, const std::vector<uint8_t>& stored, uint32_t cols,
                    float scale) {
    const std::vector<int32_t> ids = {6, 0, 3, 3};
    const uint32_t rows = 7;
    const std::vector<float> table = decoded(format, stored, rows, cols);
    std::vector<float> want(ids.size() * cols), seen(want.size(), NAN);
    reference::embed(table.data(), cols, ids.data(), static_cast<int64_t>(ids.size()), scale,
                     want.data());
    shaders::StepError error{};
    SHADER_OK(run(testing::packed(format, stored, rows, cols), ids, scale, 0, rows, &seen, &error));
    EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
    for (size_t i = 0; i < want.size(); ++i) {
        // A device may take a subnormal scale for zero.
        if (seen[i] == 0 && std::fabs(want[i]) < 16 * FLT_MIN) continue;
        ASSERT_EQ(seen[i], want[i]) << "token " << i / cols << " column " << i % cols;
    }
}

TEST_F(EmbedTest, DecodesEveryFormat) {
    for (const auto& test : test_formats()) {
        SCOPED_TRACE(test.name);
        const uint32_t cols = 3 * test.format.block_elems;
        expect_decoded(test.format, random_stored(test.format, 7, cols, 5), cols, 3.0f);
    }
}

// Made-up formats whose scales are codes: each way in which the scales may lie, once.
TEST_F(EmbedTest, DecodesCodedScales) {
    std::set<std::array<uint32_t, 5>> seen;
    for (uint32_t seed = 1; seed <= 300; ++seed) {
        const auto random = kernels::testing::random_format(seed);
        const PackedLayout layout = choose_layout(random.format);
        if (layout.cls != PackedClass::kCodes || layout.scale_bits == 0) continue;
        if (!seen.insert({static_cast<uint32_t>(layout.scale_mode), layout.scale_bits,
                          layout.outer != 0, layout.has_min, layout.group == 16})
                 .second)
            continue;
        SCOPED_TRACE(seed);
        const uint32_t cols = 3 * random.format.block_elems;
        expect_decoded(random.format, random_stored(random.format, 7, cols, seed), cols, 1.0f);
    }
    EXPECT_GE(seen.size(), 12u);
}

TEST_F(EmbedTest, DecodesExtremeExponents) {
    const tenon_format& format = formats::find_format("mxfp4")->format;
    const uint32_t cols = 128;
    std::vector<uint8_t> stored = random_stored(format, 7, cols, 9);
    const uint8_t exponents[] = {255, 254, 128, 24, 2, 1, 0};
    for (uint32_t block = 0; block < 28; ++block)
        stored[block * format.block_bytes + format.scale_offset] = exponents[block % 7];
    expect_decoded(format, stored, cols, 1.0f);
}

TEST_F(EmbedTest, SlicesWriteTheirOwnTokensAndBadIdsAreReported) {
    const tenon_format& format = formats::find_format("f32")->format;
    const uint32_t rows = 6, cols = 37;
    const std::vector<uint8_t> stored = random_stored(format, rows, cols, 5);
    const std::vector<float> table = decoded(format, stored, rows, cols);
    const Packed packed = testing::packed(format, stored, rows, cols);
    for (const int32_t bad : {-1, 6, INT32_MIN}) {
        const std::vector<int32_t> ids = {5, bad, 1};
        std::vector<float> y(ids.size() * cols, -1.0f);
        shaders::StepError error{};
        SHADER_OK(run(packed, ids, 1.0f, 0, 4, &y, &error));
        EXPECT_EQ(error.kind, uint32_t{ERROR_TOKEN_ID});
        EXPECT_EQ(error.index, 1u);
        EXPECT_EQ(error.value, static_cast<uint32_t>(bad));
        EXPECT_EQ(y[0], -1.0f);
        SHADER_OK(run(packed, ids, 1.0f, 4, 6, &y, &error));
        EXPECT_EQ(error.kind, uint32_t{ERROR_NONE});
        for (uint32_t column = 0; column < cols; ++column) {
            EXPECT_EQ(y[column], table[5 * cols + column]);
            EXPECT_EQ(y[cols + column], -1.0f);
            EXPECT_EQ(y[2 * cols + column], table[cols + column]);
        }
    }
}

}  // namespace
}  // namespace tenon::vulkan
