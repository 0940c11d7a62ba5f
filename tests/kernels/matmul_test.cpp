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

struct Problem {
    PackedFormat format;
    uint32_t rows, cols, tokens;
    PackedCase weights;
    std::vector<float> x, bias, residual;
    std::vector<ActivationBlock> activations;

    Problem(PackedFormat f, uint32_t n, uint32_t k, uint32_t t, uint32_t seed)
        : format(f), rows(n), cols(k), tokens(t), weights(packed_case(f, n, k, seed)),
          x(random_floats(size_t{t} * k, seed + 1)), bias(random_floats(n, seed + 2)),
          residual(random_floats(size_t{t} * n, seed + 3)),
          activations(size_t{tile_count(t)} * (k / 32)) {
        if (is_quantised(f))
            find_quantise(Isa::kScalar)
                ->quantise({x.data(), k, activations.data(), k / 32, 0, t, 0, k / 32});
    }

    MatmulArgs args(float* y) const {
        MatmulArgs a{};
        a.weights = weights.packed.data();
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
        const uint8_t* w = weights.stored.data() + row * stored_row_bytes(format, cols);
        double sum = 0;
        *magnitude = 1e-3;
        for (uint32_t k = 0; k < cols; ++k) {
            double value = x[size_t{token} * cols + k];
            if (fast) {
                const ActivationBlock& block = activations[token / 8 * (cols / 32) + k / 32];
                value = static_cast<double>(block.scale[k % 32 / 16][token % 8]) * block.codes[token % 8][k % 32];
            }
            const double product = value * stored_value(format, w, k);
            sum += product;
            *magnitude += std::fabs(product);
        }
        return sum;
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
    for (bool fast : {true, false}) {
        const MatmulFn fn = fast ? impl.fast : impl.precise;
        if (fn == nullptr) continue;
        for (uint32_t rows : {1u, 16u, 37u})
            for (uint32_t cols : {32u, 576u, 1120u})
                for (uint32_t tokens : {1u, 3u, 8u, 13u}) {
                    const Problem p(impl.format, rows, cols, tokens, rows + cols + tokens);
                    std::vector<float> y(size_t{tokens} * rows, -77.0f);
                    fn(p.args(y.data()));
                    for (uint32_t t = 0; t < tokens; ++t)
                        for (uint32_t r = 0; r < rows; ++r) {
                            double magnitude = 0;
                            const double want = p.exact(t, r, fast, &magnitude);
                            ASSERT_NEAR(y[t * rows + r], want, 2e-6 * magnitude)
                                << (fast ? "fast " : "precise ") << rows << "x" << cols
                                << " token " << t << " row " << r;
                        }
                }
    }
}

class FloatMatmulContract : public MatmulContract {};

TEST_P(FloatMatmulContract, TakesAnyNumberOfColumns) {
    const MatmulEntry& impl = GetParam();
    for (uint32_t cols : {1u, 7u, 33u, 513u, 1030u}) {
        const Problem p(impl.format, 18, cols, 5, cols);
        std::vector<float> y(18 * 5);
        impl.precise(p.args(y.data()));
        for (uint32_t t = 0; t < 5; ++t)
            for (uint32_t r = 0; r < 18; ++r) {
                double magnitude = 0;
                const double want = p.exact(t, r, false, &magnitude);
                ASSERT_NEAR(y[t * 18 + r], want, 2e-6 * magnitude) << cols;
            }
    }
}

TEST_P(MatmulContract, OneTokenHasTheBitsOfMany) {
    const MatmulEntry& impl = GetParam();
    const uint32_t tokens = 77;
    const Problem p(impl.format, 48, 1088, tokens, 9);
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
                << count << " tokens, fast " << fast;
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
        EXPECT_EQ(std::memcmp(pieces.data(), whole.data(), whole.size() * 4), 0);
    }
}

TEST_P(MatmulContract, EpilogueScalesThenAddsBiasAndResidualInPlace) {
    const MatmulEntry& impl = GetParam();
    const Problem p(impl.format, 21, 64, 11, 4);
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
            ASSERT_EQ(y[t * 21 + r],
                      plain[t * 21 + r] * 0.5f + p.bias[r] + p.residual[t * 21 + r]);
}

TEST_P(MatmulContract, NanInARowReachesOnlyThatToken) {
    const MatmulEntry& impl = GetParam();
    Problem p(impl.format, 16, 96, 3, 8);
    p.x[96 + 40] = std::nanf("");
    if (is_quantised(impl.format))
        find_quantise(impl.isa)->quantise({p.x.data(), 96, p.activations.data(), 3, 0, 3, 0, 3});
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
#if defined(__x86_64__)
            EXPECT_EQ(entry->isa, isa);
#else
            EXPECT_EQ(entry->isa, Isa::kScalar);
#endif
        }
}

std::string entry_name(const ::testing::TestParamInfo<MatmulEntry>& info) {
    return std::string(format_name(info.param.format)) + "_" + isa_name(info.param.isa);
}
std::vector<MatmulEntry> float_entries() {
    std::vector<MatmulEntry> floats = entries();
    std::erase_if(floats, [](const MatmulEntry& entry) { return is_quantised(entry.format); });
    return floats;
}

INSTANTIATE_TEST_SUITE_P(Entries, MatmulContract, ::testing::ValuesIn(entries()), entry_name);
INSTANTIATE_TEST_SUITE_P(Entries, FloatMatmulContract, ::testing::ValuesIn(float_entries()),
                         entry_name);

} // namespace
} // namespace tenon::kernels
