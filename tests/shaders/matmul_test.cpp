#include "shaders/matmul/params.h"

#include <algorithm>
#include <cmath>
#include <string>

#include <tenon/reference/matmul.h>
#include <tenon/reference/matmul_glu.h>

#include "tests/backends/vulkan/packed.h"
#include "tests/shaders/device_fixture.h"

namespace tenon::vulkan {
namespace {

using kernels::testing::decoded;
using kernels::testing::random_stored;
using kernels::testing::test_formats;
using shaders::Dispatch;
using shaders::MatmulParams;
using testing::Packed;

class MatmulTest : public shaders::DeviceTest {};

struct Tile {
    uint32_t rows, tokens, local;
    const char* variant = "plain";
    uint32_t team = 1;
};

std::vector<float> ramp(size_t n, uint32_t seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, 1.0f);
    std::vector<float> values(n);
    for (float& value : values)
        value = normal(engine);
    return values;
}

// One matmul and what it is made of.
struct Case {
    Packed weight;
    Packed up;  // OP_GLU
    uint32_t tokens = 1;
    uint32_t op = TENON_MATMUL_OP_PLAIN;
    uint32_t activation = 0;
    float alpha = 1;
    std::vector<float> x, bias, residual;
    // Rows [begin, end) of the weight are one dispatch; the outputs lie among all rows.
    uint32_t begin = 0, end = 0;
};

// The planes of rows [begin, end).
struct Slice {
    Slice(const Packed& w, uint32_t begin, uint32_t end)
        : lo(cut(w.lo, w.row.lo, begin, end)),
          hi(cut(w.hi, w.row.hi, begin, end)),
          scale(cut(w.scale, w.row.scale, begin, end)) {}
    static std::vector<uint32_t> cut(const std::vector<uint32_t>& plane, uint64_t row_bytes,
                                     uint32_t begin, uint32_t end) {
        return {plane.begin() + static_cast<ptrdiff_t>(begin * row_bytes / 4),
                plane.begin() + static_cast<ptrdiff_t>(end * row_bytes / 4)};
    }
    std::vector<uint32_t> lo, hi, scale;
};

Status run(const Case& c, Tile tile, std::vector<float>* y) {
    const Packed& w = c.weight;
    Dispatch dispatch("matmul", tile.variant);
    MatmulParams params{};
    params.rows = c.end - c.begin;
    params.row_begin = c.begin;
    params.y_stride = w.rows;
    params.cols = w.cols;
    params.x_stride = w.cols;
    params.lo_stride = static_cast<uint32_t>(w.row.lo / 16);
    params.hi_stride = static_cast<uint32_t>(w.row.hi / 4);
    params.scale_stride = static_cast<uint32_t>(w.row.scale / 4);
    params.flags =
        (c.bias.empty() ? 0 : TENON_MATMUL_BIAS) | (c.residual.empty() ? 0 : TENON_MATMUL_RESIDUAL);
    params.alpha = c.alpha;
    dispatch.push(params);
    dispatch.spec(TENON_MATMUL_SPEC_LOCAL, tile.local)
        .spec(TENON_MATMUL_SPEC_ROWS, tile.rows)
        .spec(TENON_MATMUL_SPEC_TOKENS, tile.tokens)
        .spec(TENON_MATMUL_SPEC_OP, c.op)
        .spec(TENON_MATMUL_SPEC_ACTIVATION, c.activation)
        .spec(TENON_MATMUL_SPEC_RAGGED, w.cols % 32 != 0 ? 1 : 0);
    if (tile.team != 1) dispatch.spec(TENON_MATMUL_SPEC_TEAM, tile.team);
    const DecodeConstants constants = decode_constants(w.layout);
    for (uint32_t i = 0; i < TENON_DECODE_SPEC_COUNT; ++i)
        dispatch.spec(TENON_DECODE_SPEC_FIRST + i, constants.word[i]);
    const Slice slice(w, c.begin, c.end);
    const Slice up(c.op == TENON_MATMUL_OP_GLU ? c.up : w, c.begin, c.end);
    dispatch.in(TENON_MATMUL_X, c.x)
        .in(TENON_MATMUL_BIAS_AT, c.bias)
        .in(TENON_MATMUL_RESIDUAL_AT, c.residual)
        .in(TENON_MATMUL_LO, slice.lo)
        .in(TENON_MATMUL_HI, slice.hi)
        .in(TENON_MATMUL_SCALE, slice.scale)
        .in(TENON_MATMUL_UP_LO, up.lo)
        .in(TENON_MATMUL_UP_HI, up.hi)
        .in(TENON_MATMUL_UP_SCALE, up.scale)
        .out(TENON_MATMUL_Y, *y);
    const uint32_t rows = tile.local / tile.team * tile.rows;
    const uint32_t tokens =
        tile.variant == std::string("tile") ? tile.team * tile.tokens : tile.tokens;
    return dispatch.run({(params.rows + rows - 1) / rows, (c.tokens + tokens - 1) / tokens, 1},
                        c.tokens);
}

Case make_case(const tenon_format& format, uint32_t rows, uint32_t cols, uint32_t tokens,
               std::vector<float>* w) {
    const std::vector<uint8_t> stored = random_stored(format, rows, cols, rows * cols);
    *w = decoded(format, stored, rows, cols);
    Case c;
    c.weight = testing::packed(format, stored, rows, cols);
    c.tokens = tokens;
    c.x = ramp(size_t{tokens} * cols, cols);
    c.end = rows;
    return c;
}

// Sums in binary32 of a few hundred products: relative to what the products add up to.
void expect_near(const std::vector<float>& seen, const std::vector<float>& want,
                 const std::vector<float>& x, const std::vector<float>& w, uint32_t rows,
                 uint32_t cols) {
    for (size_t i = 0; i < want.size(); ++i) {
        const float* a = &x[i / rows * cols];
        const float* b = &w[i % rows * cols];
        double size = 1;
        for (uint32_t k = 0; k < cols; ++k)
            size += std::fabs(double{a[k]} * b[k]);
        ASSERT_NEAR(seen[i], want[i], 1e-6 * size) << "token " << i / rows << " row " << i % rows;
    }
}

// Odd numbers of rows, tokens and blocks, so that every tile has ragged edges.
TEST_F(MatmulTest, MultipliesEveryFormat) {
    for (const auto& test : test_formats()) {
        SCOPED_TRACE(test.name);
        const uint32_t rows = 13, tokens = 3;
        const uint32_t blocks = test.format.block_elems >= 64 ? 3 : 5;
        const uint32_t cols = blocks * test.format.block_elems;
        std::vector<float> w;
        const Case c = make_case(test.format, rows, cols, tokens, &w);
        std::vector<float> want(size_t{rows} * tokens), seen(want.size(), NAN);
        reference::matmul(c.x.data(), w.data(), nullptr, nullptr, tokens, rows, cols, 1.0f,
                          want.data());
        SHADER_OK(run(c, {4, 2, 8}, &seen));
        expect_near(seen, want, c.x, w, rows, cols);
    }
}

TEST_F(MatmulTest, TilesGiveTheSameBits) {
    for (const char* name : {"q4_1", "q6_k", "f32"}) {
        SCOPED_TRACE(name);
        std::vector<float> w;
        const uint32_t rows = 21, tokens = 9;
        Case c = make_case(formats::find_format(name)->format, rows, 512, tokens, &w);
        std::vector<float> first(size_t{rows} * tokens, NAN);
        SHADER_OK(run(c, {1, 1, 8}, &first));
        for (const Tile tile : {Tile{2, 1, 16}, {3, 4, 8}}) {
            std::vector<float> seen(first.size(), NAN);
            SHADER_OK(run(c, tile, &seen));
            EXPECT_EQ(seen, first) << tile.rows << " rows x " << tile.tokens << " tokens";
        }
        if ((device().supported & shaders::kRequiresSubgroup) != 0) {
            for (const Tile tile : {Tile{1, 2, 8, "plain_shuffle"},
                                    {4, 1, 16, "plain_shuffle"},
                                    {2, 8, 8, "plain_shuffle"}}) {
                std::vector<float> seen(first.size(), NAN);
                SHADER_OK(run(c, tile, &seen));
                EXPECT_EQ(seen, first) << tile.variant << " " << tile.tokens << " tokens";
            }
        }
        // One token alone.
        c.tokens = 1;
        c.x.erase(c.x.begin(), c.x.begin() + 4 * 512);
        std::vector<float> alone(rows, NAN);
        SHADER_OK(run(c, {4, 1, 8}, &alone));
        EXPECT_EQ(alone, std::vector<float>(first.begin() + 4 * rows, first.begin() + 5 * rows));
    }
}

TEST_F(MatmulTest, ScalesAndAddsBiasAndResidual) {
    std::vector<float> w;
    const uint32_t rows = 10, cols = 64, tokens = 3;
    Case c = make_case(formats::find_format("q8_0")->format, rows, cols, tokens, &w);
    c.alpha = 0.5f;
    c.bias = ramp(rows, 1);
    c.residual = ramp(size_t{rows} * tokens, 2);
    std::vector<float> want(size_t{rows} * tokens), seen(want.size(), NAN);
    reference::matmul(c.x.data(), w.data(), c.bias.data(), c.residual.data(), tokens, rows, cols,
                      c.alpha, want.data());
    SHADER_OK(run(c, {4, 1, 8}, &seen));
    expect_near(seen, want, c.x, w, rows, cols);
}

TEST_F(MatmulTest, SlicesWriteTheirOwnRows) {
    std::vector<float> w;
    const uint32_t rows = 19, cols = 96, tokens = 2;
    Case c = make_case(formats::find_format("q5_0")->format, rows, cols, tokens, &w);
    c.bias = ramp(rows, 3);
    std::vector<float> whole(size_t{rows} * tokens, NAN), cut(whole);
    SHADER_OK(run(c, {4, 1, 8}, &whole));
    c.end = 7;
    SHADER_OK(run(c, {4, 1, 8}, &cut));
    EXPECT_TRUE(std::isnan(cut[7]) && std::isnan(cut[rows + 7]));
    c.begin = 7;
    c.end = rows;
    SHADER_OK(run(c, {4, 1, 8}, &cut));
    EXPECT_EQ(cut, whole);
}

// Widths that are no multiple of 4: rows of x lie anywhere, and the last block is cut.
TEST_F(MatmulTest, ReadsRaggedRows) {
    for (const uint32_t cols : {1u, 5u, 37u, 75u}) {
        SCOPED_TRACE(cols);
        std::vector<float> w;
        const uint32_t rows = 5, tokens = 4;
        Case c = make_case(formats::find_format("f16")->format, rows, cols, tokens, &w);
        std::vector<float> want(size_t{rows} * tokens), seen(want.size(), NAN);
        reference::matmul(c.x.data(), w.data(), nullptr, nullptr, tokens, rows, cols, 1.0f,
                          want.data());
        SHADER_OK(run(c, {4, 2, 8}, &seen));
        expect_near(seen, want, c.x, w, rows, cols);
        if ((device().supported & shaders::kRequiresSubgroup) != 0) {
            std::vector<float> shuffled(want.size(), NAN);
            SHADER_OK(run(c, {2, 2, 8, "plain_shuffle"}, &shuffled));
            EXPECT_EQ(shuffled, seen);
        }
    }
}

// What the backend chooses on a GPU, and constants that leave invocations without work.
const Tile kShared[] = {
    {4, 1, 128, "columns", 16}, {1, 2, 32, "columns", 8}, {4, 4, 64, "tile", 8}};

TEST_F(MatmulTest, SharedMemoryChangesNoBit) {
    for (const char* name : {"q4_1", "q6_k", "bf16"}) {
        SCOPED_TRACE(name);
        const tenon_format& format = formats::find_format(name)->format;
        const uint32_t rows = 37, tokens = 19, cols = format.block_elems == 1 ? 300 : 1280;
        std::vector<float> w;
        const Case c = make_case(format, rows, cols, tokens, &w);
        std::vector<float> plain(size_t{rows} * tokens, NAN);
        SHADER_OK(run(c, {4, 2, 8}, &plain));
        for (const Tile& tile : kShared) {
            std::vector<float> seen(plain.size(), NAN);
            SHADER_OK(run(c, tile, &seen));
            EXPECT_EQ(seen, plain) << tile.variant << ", team of " << tile.team;
        }
    }
}

TEST_F(MatmulTest, SharedMemoryReadsRaggedRows) {
    for (const uint32_t cols : {5u, 75u}) {
        SCOPED_TRACE(cols);
        std::vector<float> w;
        const uint32_t rows = 5, tokens = 4;
        Case c = make_case(formats::find_format("f16")->format, rows, cols, tokens, &w);
        c.bias = ramp(rows, 1);
        c.residual = ramp(size_t{rows} * tokens, 2);
        c.alpha = 0.5f;
        std::vector<float> plain(size_t{rows} * tokens, NAN);
        SHADER_OK(run(c, {4, 2, 8}, &plain));
        for (const Tile& tile : kShared) {
            std::vector<float> seen(plain.size(), NAN);
            SHADER_OK(run(c, tile, &seen));
            EXPECT_EQ(seen, plain) << tile.variant << ", team of " << tile.team;
        }
    }
}

TEST_F(MatmulTest, SharedMemoryGatesInOneStep) {
    const tenon_format& format = formats::find_format("q4_k")->format;
    const uint32_t rows = 11, cols = 256, tokens = 7;
    std::vector<float> gate;
    Case c = make_case(format, rows, cols, tokens, &gate);
    c.up = testing::packed(format, random_stored(format, rows, cols, 99), rows, cols);
    c.op = TENON_MATMUL_OP_GLU;
    c.activation = TENON_ACT_GELU_TANH;
    std::vector<float> plain(size_t{rows} * tokens, NAN);
    SHADER_OK(run(c, {2, 2, 8}, &plain));
    for (const Tile& tile :
         {Tile{2, 1, 128, "columns", 16}, {1, 8, 64, "columns", 8}, {4, 4, 32, "tile", 4}}) {
        std::vector<float> seen(plain.size(), NAN);
        SHADER_OK(run(c, tile, &seen));
        EXPECT_EQ(seen, plain) << tile.variant << ", team of " << tile.team;
    }
}

TEST_F(MatmulTest, GatesInOneOrTwoSteps) {
    const tenon_format& format = formats::find_format("q4_k")->format;
    const uint32_t rows = 11, cols = 256, tokens = 3;
    for (const uint32_t activation : {TENON_ACT_SILU, TENON_ACT_GELU_TANH, TENON_ACT_GELU_ERF}) {
        SCOPED_TRACE(activation);
        std::vector<float> gate, up;
        Case c = make_case(format, rows, cols, tokens, &gate);
        const std::vector<uint8_t> stored = random_stored(format, rows, cols, 99);
        up = decoded(format, stored, rows, cols);
        c.up = testing::packed(format, stored, rows, cols);
        std::vector<float> want(size_t{rows} * tokens), seen(want.size(), NAN);
        reference::matmul_glu(c.x.data(), gate.data(), up.data(), tokens, rows, cols, activation,
                              want.data());
        Case two = c;
        std::vector<float> product(want.size(), NAN);
        SHADER_OK(run(two, {2, 1, 8}, &product));
        two.residual = product;
        c.op = TENON_MATMUL_OP_GLU;
        c.activation = activation;
        SHADER_OK(run(c, {2, 2, 8}, &seen));
        for (size_t i = 0; i < want.size(); ++i)
            ASSERT_NEAR(seen[i], want[i], 2e-5 * (1 + std::fabs(want[i]))) << i;
        two.op = TENON_MATMUL_OP_GATED;
        two.activation = activation;
        two.weight = two.up;
        std::vector<float> gated(want.size(), NAN);
        SHADER_OK(run(two, {4, 1, 8}, &gated));
        EXPECT_EQ(gated, seen);
    }
}

}  // namespace
}  // namespace tenon::vulkan
