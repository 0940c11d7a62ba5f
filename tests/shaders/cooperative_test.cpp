// Variant matmul/cooperative: built only with TENON_SHADER_TOOLS, run only where the device multiplies
// matrices of binary16.
#include <algorithm>
#include <cmath>

#include <tenon/reference/matmul.h>
#include <tenon/reference/matmul_glu.h>

#include "shaders/matmul/params.h"
#include "tests/backends/vulkan/packed.h"
#include "tests/shaders/device_fixture.h"
#include "tests/shaders/numbers.h"

namespace tenon::vulkan {
namespace {

using kernels::testing::decoded;
using kernels::testing::random_stored;
using kernels::testing::test_formats;
using shaders::ceil_div;
using shaders::MatmulParams;

const shaders::ShaderVariant* variant() { return shaders::find_shader("matmul", "cooperative"); }

#define NEEDS_VARIANT()       \
    if (variant() == nullptr) \
    GTEST_SKIP()              \
        << "this build has no shaders of cooperative matrices: TENON_SHADER_TOOLS is not set"

class CooperativeTest : public shaders::DeviceTest {
protected:
    void SetUp() override {
        NEEDS_VARIANT();
        DeviceTest::SetUp();
        if (!IsSkipped() && (device().supported & shaders::kRequiresCoopmat) == 0)
            GTEST_SKIP() << device().name << " has no cooperative matrices of binary16";
    }
};

// Subgroups of a workgroup, those side by side along the tokens, and matrices of each.
struct Tile {
    uint32_t subgroups = 2, team = 1, rows = 1, tokens = 1;
};
constexpr Tile kTiles[] = {{1, 1, 1, 1}, {2, 1, 2, 1}, {4, 2, 1, 2}, {8, 2, 2, 4}};

struct Case {
    testing::Packed weight, up;
    uint32_t tokens = 1;
    uint32_t op = TENON_MATMUL_OP_PLAIN;
    uint32_t activation = 0;
    float alpha = 1;
    std::vector<float> x, bias, residual;
    std::vector<float> w, up_w;  // decoded

    size_t outputs() const { return size_t{tokens} * weight.rows; }
    std::vector<float> reference() const {
        std::vector<float> y(outputs());
        if (op == TENON_MATMUL_OP_GLU)
            reference::matmul_glu(x.data(), w.data(), up_w.data(), tokens, weight.rows, weight.cols,
                                  activation, y.data());
        else
            reference::matmul(x.data(), w.data(), bias.empty() ? nullptr : bias.data(),
                              residual.empty() ? nullptr : residual.data(), tokens, weight.rows,
                              weight.cols, alpha, y.data());
        return y;
    }
};

Status run(const Case& c, Tile tile, const shaders::TestDevice& device, std::vector<float>* y) {
    const testing::Packed& w = c.weight;
    MatmulParams params{};
    params.rows = w.rows;
    params.y_stride = w.rows;
    params.cols = w.cols;
    params.x_stride = w.cols;
    params.lo_stride = static_cast<uint32_t>(w.row.lo / 16);
    params.hi_stride = static_cast<uint32_t>(w.row.hi / 4);
    params.scale_stride = static_cast<uint32_t>(w.row.scale / 4);
    params.flags =
        (c.bias.empty() ? 0 : TENON_MATMUL_BIAS) | (c.residual.empty() ? 0 : TENON_MATMUL_RESIDUAL);
    params.alpha = c.alpha;
    shaders::Dispatch dispatch("matmul", "cooperative");
    dispatch.push(params)
        .spec(TENON_MATMUL_SPEC_LOCAL, tile.subgroups * device.subgroup_size)
        .spec(TENON_MATMUL_SPEC_ROWS, tile.rows)
        .spec(TENON_MATMUL_SPEC_TOKENS, tile.tokens)
        .spec(TENON_MATMUL_SPEC_OP, c.op)
        .spec(TENON_MATMUL_SPEC_ACTIVATION, c.activation)
        .spec(TENON_MATMUL_SPEC_RAGGED, w.cols % 32 != 0 ? 1 : 0)
        .spec(TENON_MATMUL_SPEC_TEAM, tile.team)
        .spec(TENON_MATMUL_SPEC_SUBGROUP, device.subgroup_size)
        .spec(TENON_MATMUL_SPEC_MATRIX_TOKENS, device.matrix.m)
        .spec(TENON_MATMUL_SPEC_MATRIX_ROWS, device.matrix.n)
        .spec(TENON_MATMUL_SPEC_MATRIX_COLS, device.matrix.k);
    const DecodeConstants constants = decode_constants(w.layout);
    for (uint32_t i = 0; i < TENON_DECODE_SPEC_COUNT; ++i)
        dispatch.spec(TENON_DECODE_SPEC_FIRST + i, constants.word[i]);
    const testing::Packed& up = c.op == TENON_MATMUL_OP_GLU ? c.up : w;
    dispatch.in(TENON_MATMUL_X, c.x)
        .in(TENON_MATMUL_BIAS_AT, c.bias)
        .in(TENON_MATMUL_RESIDUAL_AT, c.residual)
        .in(TENON_MATMUL_LO, w.lo)
        .in(TENON_MATMUL_HI, w.hi)
        .in(TENON_MATMUL_SCALE, w.scale)
        .in(TENON_MATMUL_UP_LO, up.lo)
        .in(TENON_MATMUL_UP_HI, up.hi)
        .in(TENON_MATMUL_UP_SCALE, up.scale)
        .out(TENON_MATMUL_Y, *y);
    const uint32_t rows = tile.subgroups / tile.team * tile.rows * device.matrix.n;
    const uint32_t tokens = tile.team * tile.tokens * device.matrix.m;
    return dispatch.run({ceil_div(w.rows, rows), ceil_div(c.tokens, tokens), 1}, c.tokens);
}

// Whole numbers of at most `most`: products and sums of a few hundred of them are exact.
std::vector<float> integers(size_t count, uint32_t seed, int most) {
    std::mt19937 engine(seed);
    std::uniform_int_distribution<int> draw(-most, most);
    std::vector<float> values(count);
    for (float& value : values)
        value = static_cast<float>(draw(engine));
    return values;
}

// A weight of bf16, which holds integers up to 256 exactly; other numbers are cut off.
testing::Packed bf16_weight(std::vector<float>& values, uint32_t rows, uint32_t cols) {
    std::vector<uint8_t> stored;
    for (float& value : values) {
        uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        bits &= 0xffff0000u;
        std::memcpy(&value, &bits, sizeof bits);
        stored.push_back(static_cast<uint8_t>(bits >> 16));
        stored.push_back(static_cast<uint8_t>(bits >> 24));
    }
    return testing::packed(formats::find_format("bf16")->format, stored, rows, cols);
}

Case integer_case(uint32_t rows, uint32_t cols, uint32_t tokens) {
    Case c;
    c.tokens = tokens;
    c.w = integers(size_t{rows} * cols, rows + cols, 20);
    c.weight = bf16_weight(c.w, rows, cols);
    c.x = integers(size_t{tokens} * cols, tokens, 40);
    return c;
}

// Both factors keep 11 bits.
void expect_near(const std::vector<float>& seen, const Case& c, double floor = 0) {
    const std::vector<float> want = c.reference();
    const uint32_t rows = c.weight.rows, cols = c.weight.cols;
    for (size_t i = 0; i < want.size(); ++i) {
        const float* a = &c.x[i / rows * cols];
        const float* b = &c.w[i % rows * cols];
        double size = 0;
        for (uint32_t k = 0; k < cols; ++k)
            size += std::fabs(double{a[k]} * b[k]);
        ASSERT_NEAR(seen[i], want[i], 1e-3 * size + floor)
            << "token " << i / rows << " row " << i % rows;
    }
}

TEST(CooperativeShader, IsWhatItsHeaderSays) {
    NEEDS_VARIANT();
    const shaders::ShaderVariant& v = *variant();
    EXPECT_EQ(v.push_bytes, sizeof(MatmulParams));
    EXPECT_EQ(v.binding_mask, (1u << TENON_MATMUL_BINDINGS) - 1);
    EXPECT_EQ(v.requires_bits,
              shaders::kRequiresCoopmat | shaders::kRequiresFloat16 | shaders::kRequiresSubgroup);
    uint32_t ids = (1u << (TENON_MATMUL_SPEC_MATRIX_COLS + 1)) - 1;
    for (uint32_t i = 0; i < TENON_DECODE_SPEC_COUNT; ++i)
        ids |= 1u << (TENON_DECODE_SPEC_FIRST + i);
    EXPECT_EQ(v.spec_mask & ids, ids);
    // One subgroup with four matrices of rows and one of tokens, 16 x 16.
    EXPECT_EQ(v.shared_bytes, shaders::matmul_cooperative_shared(1, 64, 16, 1, 256));
}

// Ragged edges in every direction, tiles of every form: a product missed or taken twice is a wrong bit.
TEST_F(CooperativeTest, IsExactOnIntegers) {
    for (const auto& [cols, tokens] : {std::pair(32u, 1u), {37u, 50u}, {300u, 19u}}) {
        const Case c = integer_case(45, cols, tokens);
        const std::vector<float> want = c.reference();
        for (const Tile& tile : kTiles) {
            std::vector<float> seen(c.outputs(), NAN);
            SHADER_OK(run(c, tile, device(), &seen));
            EXPECT_EQ(seen, want) << cols << " columns, " << tokens << " tokens, " << tile.subgroups
                                  << " subgroups";
        }
    }
}

TEST_F(CooperativeTest, ReadsEveryFormat) {
    for (const auto& test : test_formats()) {
        SCOPED_TRACE(test.name);
        const uint32_t rows = 21,
                       cols = ceil_div(320, test.format.block_elems) * test.format.block_elems;
        Case c;
        c.tokens = 18;
        const std::vector<uint8_t> stored = random_stored(test.format, rows, cols, cols);
        c.w = decoded(test.format, stored, rows, cols);
        c.weight = testing::packed(test.format, stored, rows, cols);
        c.x = shaders::normals(size_t{c.tokens} * cols, rows);
        std::vector<float> seen(c.outputs(), NAN);
        SHADER_OK(run(c, kTiles[0], device(), &seen));
        expect_near(seen, c);
    }
}

TEST_F(CooperativeTest, AddsBiasAndResidualAndGates) {
    Case c = integer_case(45, 96, 19);
    c.bias = integers(45, 1, 1000);
    c.residual = integers(c.outputs(), 2, 1000);
    c.alpha = 0.5f;
    std::vector<float> seen(c.outputs(), NAN);
    SHADER_OK(run(c, kTiles[2], device(), &seen));
    EXPECT_EQ(seen, c.reference());

    for (const uint32_t activation : {TENON_ACT_SILU, TENON_ACT_GELU_TANH}) {
        Case glu = integer_case(45, 96, 19);
        glu.up_w = integers(glu.w.size(), 77, 20);
        glu.up = bf16_weight(glu.up_w, 45, 96);
        glu.op = TENON_MATMUL_OP_GLU;
        glu.activation = activation;
        for (float& x : glu.x)
            x /= 64;
        const std::vector<float> want = glu.reference();
        SHADER_OK(run(glu, kTiles[1], device(), &seen));
        for (size_t i = 0; i < want.size(); ++i)
            ASSERT_NEAR(seen[i], want[i], 2e-5 * (1 + std::fabs(want[i]))) << i;
        // The second half of a GLU in two steps.
        Case second = glu;
        second.op = TENON_MATMUL_OP_PLAIN;
        std::vector<float> gate = second.reference();
        second.residual = gate;
        second.op = TENON_MATMUL_OP_GATED;
        second.weight = second.up;
        std::vector<float> gated(want.size(), NAN);
        SHADER_OK(run(second, kTiles[1], device(), &gated));
        for (size_t i = 0; i < want.size(); ++i)
            ASSERT_NEAR(gated[i], want[i], 2e-5 * (1 + std::fabs(want[i]))) << i;
    }
}

// Far beyond what binary16 holds, far below, and growing from block to block.
TEST_F(CooperativeTest, NeitherOverflowsNorVanishes) {
    struct Range {
        float x, w;
        float growth;  // of x from a block of columns to the next
    };
    for (const Range& range :
         {Range{1e6f, 1e5f, 1}, Range{1e20f, 1e10f, 1}, Range{1e-20f, 1e-10f, 1},
          Range{1e-30f, 1e30f, 1}, Range{1e-3f, 1, 64}, Range{1e3f, 1, 1.0f / 64}}) {
        SCOPED_TRACE(range.x);
        const uint32_t rows = 20, cols = 256;
        Case c;
        c.tokens = 17;
        c.w = shaders::normals(size_t{rows} * cols, 3, range.w);
        c.weight = bf16_weight(c.w, rows, cols);
        c.x = shaders::normals(size_t{c.tokens} * cols, 4, range.x);
        for (size_t i = 0; i < c.x.size(); ++i)
            c.x[i] *= std::pow(range.growth, static_cast<float>(i % cols / 32));
        std::vector<float> seen(c.outputs(), NAN);
        SHADER_OK(run(c, kTiles[1], device(), &seen));
        expect_near(seen, c);
    }
}

// What is no number disturbs no other token.
TEST_F(CooperativeTest, KeepsInfinitiesInTheirRows) {
    Case c = integer_case(20, 64, 12);
    const std::vector<float> want = c.reference();
    c.x[3 * 64 + 5] = INFINITY;
    c.x[7 * 64 + 40] = NAN;
    std::vector<float> seen(c.outputs(), NAN);
    SHADER_OK(run(c, kTiles[2], device(), &seen));
    for (size_t i = 0; i < want.size(); ++i) {
        if (i / 20 == 3 || i / 20 == 7)
            EXPECT_FALSE(std::isfinite(seen[i])) << i;
        else
            EXPECT_EQ(seen[i], want[i]) << i;
    }
}

TEST_F(CooperativeTest, IsZeroWhereAllIsZero) {
    Case c = integer_case(20, 64, 12);
    std::fill(c.x.begin(), c.x.end(), 0.0f);
    std::vector<float> seen(c.outputs(), NAN);
    SHADER_OK(run(c, kTiles[1], device(), &seen));
    EXPECT_EQ(seen, std::vector<float>(c.outputs(), 0.0f));
}

}  // namespace
}  // namespace tenon::vulkan
