#include <gtest/gtest.h>

#include "kernels/include/tenon/kernels/matmul.h"
#include "tests/kernels/case.h"

namespace tenon::kernels {
namespace {

using namespace testing;

std::vector<MatmulEntry> entries() {
    uint32_t count = 0;
    const MatmulEntry* first = matmul_entries(&count);
    return {first, first + count};
}

// Formats that are packed as `packed`.
std::vector<TestFormat> formats_of(PackedFormat packed) {
    std::vector<TestFormat> found = test_formats();
    std::erase_if(found, [&](const TestFormat& format) {
        return choose_layout(format.format).format != packed;
    });
    return found;
}

// About `wanted` columns in whole blocks.
uint32_t whole_blocks(const tenon_format& format, uint32_t wanted) {
    return std::max(1u, wanted / format.block_elems) * format.block_elems;
}

struct Problem {
    uint32_t rows, cols, tokens;
    PackedCase weights;
    std::vector<float> x, bias, residual;
    std::vector<ActivationBlock> activations;

    Problem(const tenon_format& format, uint32_t n, uint32_t k, uint32_t t, uint32_t seed)
        : rows(n),
          cols(k),
          tokens(t),
          weights(packed_case(format, n, k, seed)),
          x(random_floats(size_t{t} * k, seed + 1)),
          bias(random_floats(n, seed + 2)),
          residual(random_floats(size_t{t} * n, seed + 3)),
          activations(size_t{tile_count(t)} * (k / 32)) {
        if (is_quantised(weights.layout.format))
            find_quantise(Isa::kScalar)
                ->quantise({x.data(), k, activations.data(), k / 32, 0, t, 0, k / 32});
    }

    MatmulArgs args(float* y) const {
        MatmulArgs a{};
        a.weights = weights.packed.data();
        a.layout = weights.layout;
        a.rows = rows;
        a.cols = cols;
        a.activations = activations.data();
        a.x = x.data();
        a.x_stride = cols;
        a.y = y;
        a.y_stride = rows;
        a.alpha = 1.0f;
        a.group_end = group_count(rows);
        a.token_end = tokens;
        return a;
    }

    // Row `row` of token `token` in double; `magnitude` is the sum of absolute products.
    double exact(uint32_t token, uint32_t row, bool fast, double* magnitude) const {
        const float* w = weights.values.data() + size_t{row} * cols;
        double sum = 0;
        *magnitude = 1e-3;
        for (uint32_t k = 0; k < cols; ++k) {
            double value = x[size_t{token} * cols + k];
            if (fast) {
                const ActivationBlock& block = activations[token / 8 * (cols / 32) + k / 32];
                value = static_cast<double>(block.scale[k % 32 / 16][token % 8]) *
                        block.codes[token % 8][k % 32];
            }
            const double product = value * w[k];
            sum += product;
            *magnitude += std::fabs(product);
        }
        return sum;
    }

    // y of `fn` against double, 2e-6 of the magnitude apart at most.
    void expect_agreement(MatmulFn fn, bool fast, const std::string& name) const {
        std::vector<float> y(size_t{tokens} * rows, -77.0f);
        fn(args(y.data()));
        expect_near(y, fast, name);
    }

    void expect_near(const std::vector<float>& y, bool fast, const std::string& name) const {
        for (uint32_t t = 0; t < tokens; ++t)
            for (uint32_t r = 0; r < rows; ++r) {
                double magnitude = 0;
                const double want = exact(t, r, fast, &magnitude);
                ASSERT_NEAR(y[t * rows + r], want, 2e-6 * magnitude)
                    << name << (fast ? " fast " : " precise ") << rows << "x" << cols << " token "
                    << t << " row " << r;
            }
    }
};

class MatmulContract : public ::testing::TestWithParam<MatmulEntry> {
protected:
    void SetUp() override {
        if (GetParam().isa > best_isa())
            GTEST_SKIP() << "this processor cannot run " << isa_name(GetParam().isa);
    }
};

TEST_P(MatmulContract, AgreesWithDoubleAtOddShapes) {
    const MatmulEntry& impl = GetParam();
    for (const TestFormat& stored : formats_of(impl.format))
        for (bool fast : {true, false}) {
            const MatmulFn fn = fast ? impl.fast : impl.precise;
            if (fn == nullptr) continue;
            for (uint32_t rows : {1u, 16u, 37u})
                for (uint32_t cols : {32u, 576u, 1120u})
                    for (uint32_t tokens : {1u, 3u, 8u, 13u}) {
                        const uint32_t k = whole_blocks(stored.format, cols);
                        if (rows != 37 && k > 600) continue;
                        const Problem p(stored.format, rows, k, tokens, rows + cols + tokens);
                        p.expect_agreement(fn, fast, stored.name);
                        if (HasFatalFailure()) return;
                    }
        }
}

// Layouts that no format of the product has, super-blocks of odd lengths among them.
TEST_P(MatmulContract, AgreesWithDoubleForRandomDescriptions) {
    const MatmulEntry& impl = GetParam();
    for (uint32_t seed = 1; seed <= 400; ++seed) {
        const RandomFormat made = random_format(seed);
        if (choose_layout(made.format).format != impl.format) continue;
        const uint32_t cols = whole_blocks(made.format, 1100);
        const Problem p(made.format, 5, cols, 3, seed);
        for (bool fast : {true, false})
            if (MatmulFn fn = fast ? impl.fast : impl.precise)
                p.expect_agreement(fn, fast, "seed " + std::to_string(seed));
        if (HasFatalFailure()) return;
    }
}

class FloatMatmulContract : public MatmulContract {};

// To the nearest, ties to even.
float bfloat_of(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    bits = (bits + 0x7fffu + (bits >> 16 & 1u)) & 0xffff0000u;
    std::memcpy(&value, &bits, 4);
    return value;
}

void expect_rounded(const MatmulEntry& impl, uint32_t cols, uint32_t tokens) {
    const TestFormat stored = formats_of(impl.format).front();
    Problem p(stored.format, 85, cols, tokens, cols);
    std::vector<float> y(size_t{tokens} * 85);
    impl.rounded(p.args(y.data()));
    std::vector<float> last(85);
    MatmulArgs a = p.args(last.data());
    a.x += size_t{tokens - 1} * cols;
    a.token_end = 1;
    impl.rounded(a);
    EXPECT_EQ(std::memcmp(last.data(), &y[size_t{tokens - 1} * 85], 85 * 4), 0) << cols;
    for (float& value : p.x)
        value = bfloat_of(value);
    p.expect_near(y, false, stored.name + " rounded");
}

TEST(Matmul, RoundedIsThePreciseProductOfRoundedRows) {
    bool any = false;
    for (const MatmulEntry& impl : entries()) {
        if (impl.rounded == nullptr || impl.isa > best_isa()) continue;
        any = true;
        for (uint32_t cols : {1u, 7u, 33u, 513u, 1030u})
            for (uint32_t tokens : {1u, 4u, 5u, 7u, 13u, 70u}) {
                expect_rounded(impl, cols, tokens);
                if (HasFatalFailure()) return;
            }
    }
    if (!any) GTEST_SKIP() << "this processor multiplies no pairs of bfloat16";
}

TEST_P(FloatMatmulContract, TakesAnyNumberOfColumns) {
    const MatmulEntry& impl = GetParam();
    const TestFormat stored = formats_of(impl.format).front();
    for (uint32_t cols : {1u, 7u, 33u, 513u, 1030u})
        Problem(stored.format, 18, cols, 5, cols)
            .expect_agreement(impl.precise, false, stored.name);
}

TEST_P(MatmulContract, OneTokenHasTheBitsOfMany) {
    const MatmulEntry& impl = GetParam();
    const uint32_t tokens = 77;
    for (const TestFormat& stored : formats_of(impl.format)) {
        const Problem p(stored.format, 48, whole_blocks(stored.format, 1088), tokens, 9);
        for (bool fast : {true, false}) {
            const MatmulFn fn = fast ? impl.fast : impl.precise;
            if (fn == nullptr) continue;
            std::vector<float> whole(tokens * 48);
            fn(p.args(whole.data()));
            for (uint32_t count : {1u, 2u, 5u, 7u, 9u, 16u, 64u, 70u}) {
                std::vector<float> part(count * 48);
                MatmulArgs a = p.args(part.data());
                a.token_end = count;
                fn(a);
                EXPECT_EQ(std::memcmp(part.data(), whole.data(), part.size() * 4), 0)
                    << stored.name << ", " << count << " tokens, fast " << fast;
            }
            std::vector<float> pieces(tokens * 48);
            for (uint32_t group = 0; group < 3; ++group)
                for (uint32_t token = 0; token < tokens; token += 24) {
                    MatmulArgs a = p.args(pieces.data());
                    a.group_begin = group;
                    a.group_end = group + 1;
                    a.token_begin = token;
                    a.token_end = std::min(tokens, token + 24);
                    fn(a);
                }
            EXPECT_EQ(std::memcmp(pieces.data(), whole.data(), whole.size() * 4), 0)
                << stored.name << ", fast " << fast;
        }
    }
}

TEST_P(MatmulContract, EpilogueScalesThenAddsBiasAndResidualInPlace) {
    const MatmulEntry& impl = GetParam();
    const tenon_format stored = formats_of(impl.format).front().format;
    const Problem p(stored, 21, whole_blocks(stored, 64), 11, 4);
    std::vector<float> plain(11 * 21);
    impl.precise(p.args(plain.data()));
    std::vector<float> y = p.residual;
    MatmulArgs a = p.args(y.data());
    a.alpha = 0.5f;
    a.bias = p.bias.data();
    a.residual = y.data();
    a.residual_stride = 21;
    impl.precise(a);
    for (uint32_t t = 0; t < 11; ++t)
        for (uint32_t r = 0; r < 21; ++r)
            ASSERT_EQ(y[t * 21 + r], plain[t * 21 + r] * 0.5f + p.bias[r] + p.residual[t * 21 + r]);
}

TEST_P(MatmulContract, NanInARowReachesOnlyThatToken) {
    const MatmulEntry& impl = GetParam();
    const tenon_format stored = formats_of(impl.format).front().format;
    const uint32_t cols = whole_blocks(stored, 96);
    Problem p(stored, 16, cols, 3, 8);
    p.x[cols + 40] = std::nanf("");
    if (is_quantised(impl.format))
        find_quantise(impl.isa)->quantise(
            {p.x.data(), cols, p.activations.data(), cols / 32, 0, 3, 0, cols / 32});
    for (MatmulFn fn : {impl.fast, impl.precise}) {
        if (fn == nullptr) continue;
        std::vector<float> y(3 * 16);
        fn(p.args(y.data()));
        for (uint32_t r = 0; r < 16; ++r) {
            EXPECT_TRUE(std::isfinite(y[r]));
            EXPECT_TRUE(std::isnan(y[16 + r]));
            EXPECT_TRUE(std::isfinite(y[32 + r]));
        }
    }
}

TEST(MatmulList, ForcedLevelIsTheLevelThatRuns) {
    for (size_t f = 0; f < kPackedFormatCount; ++f)
        for (size_t level = 0; level < kIsaCount; ++level) {
            const Isa isa = static_cast<Isa>(level);
            const MatmulEntry* entry = find_matmul(static_cast<PackedFormat>(f), isa);
            ASSERT_NE(entry, nullptr);
            EXPECT_EQ(static_cast<size_t>(entry->format), f);
#if defined(__aarch64__)
            // Above neon a level has float products only with an extension.
            if (!is_quantised(entry->format) && isa > Isa::kNeon && entry->rounded == nullptr) {
                EXPECT_EQ(entry->isa, Isa::kNeon);
                continue;
            }
#endif
            EXPECT_EQ(entry->isa, isa);
        }
}

std::string entry_name(const ::testing::TestParamInfo<MatmulEntry>& info) {
    return std::string(format_name(info.param.format)) + "_" + isa_name(info.param.isa) +
           (info.param.rounded != nullptr ? "_rounded" : "");
}
std::vector<MatmulEntry> float_entries() {
    std::vector<MatmulEntry> floats = entries();
    std::erase_if(floats, [](const MatmulEntry& entry) { return is_quantised(entry.format); });
    return floats;
}

INSTANTIATE_TEST_SUITE_P(Entries, MatmulContract, ::testing::ValuesIn(entries()), entry_name);
INSTANTIATE_TEST_SUITE_P(Entries, FloatMatmulContract, ::testing::ValuesIn(float_entries()),
                         entry_name);

}  // namespace
}  // namespace tenon::kernels
