#include <tenon/reference/sample.h>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

namespace {

using namespace tenon::reference;

// Known answers published with the generator's library (Random123, kat_vectors).
TEST(Noise, PhiloxKnownAnswers) {
    const Words4 zero = philox4x32({{0, 0, 0, 0}}, 0, 0);
    EXPECT_EQ(zero.w[0], 0x6627e8d5u);
    EXPECT_EQ(zero.w[1], 0xe169c58du);
    EXPECT_EQ(zero.w[2], 0xbc57ac4cu);
    EXPECT_EQ(zero.w[3], 0x9b00dbd8u);
    const Words4 pi =
        philox4x32({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0xa4093822, 0x299f31d0);
    EXPECT_EQ(pi.w[0], 0xd16cfe09u);
    EXPECT_EQ(pi.w[1], 0x94fdccebu);
    EXPECT_EQ(pi.w[2], 0x5001e420u);
    EXPECT_EQ(pi.w[3], 0x24126ea1u);
}

// -ln(-ln((u + 0.5) / 2^32)) without cancellation at either end.
double gumbel_in_double(uint32_t u) {
    const double scale = 4294967296.0;
    const double exponential =
        u < 0x80000000u ? -std::log((u + 0.5) / scale) : -std::log1p(-(scale - u - 0.5) / scale);
    return -std::log(exponential);
}

TEST(Noise, GumbelIsWithinItsDocumentedError) {
    double worst = 0;
    const auto check = [&](uint32_t u) {
        worst = std::max(worst, std::fabs(gumbel(u) - gumbel_in_double(u)));
    };
    for (uint64_t u = 0; u < (uint64_t{1} << 32); u += 65521)
        check(static_cast<uint32_t>(u));
    for (uint32_t i = 0; i < 20000; ++i) {
        for (const uint32_t u : {i, ~i, 0x7fffffffu - i, 0x80000000u + i})
            check(u);
    }
    EXPECT_LE(worst, 2e-6);
}

TEST(Noise, GumbelHasItsMeanAndVariance) {
    const int n = 200000;
    double sum = 0;
    double squares = 0;
    for (int i = 0; i < n; ++i) {
        const double g = gumbel(noise_word(42, i / 1000, static_cast<uint32_t>(i % 1000)));
        sum += g;
        squares += g * g;
    }
    const double mean = sum / n;
    // Euler's constant and pi^2 / 6; four standard errors.
    EXPECT_NEAR(mean, 0.5772156649, 4 * 1.2825 / std::sqrt(n));
    EXPECT_NEAR(squares / n - mean * mean, 1.6449340668, 0.04);
}

TEST(Noise, CandidateWeightFollowsExp) {
    for (int i = 0; i < 30000; ++i) {
        const float below = -static_cast<float>(i) * 1e-3f;
        EXPECT_NEAR(candidate_weight_q30(below) / 1073741824.0, std::exp(double{below}), 1e-7)
            << below;
    }
    EXPECT_EQ(candidate_weight_q30(0.0f), 1u << 30);
    EXPECT_EQ(candidate_weight_q30(-1e30f), 0u);
    EXPECT_EQ(candidate_weight_q30(-std::numeric_limits<float>::infinity()), 0u);
}

// The same bits on every machine and compiler: a change of the definition must show here.
TEST(Noise, IsPinned) {
    EXPECT_EQ(noise_word(0x0123456789abcdefull, 7, 12345),
              philox4x32({{3086, 7, 0, 0}}, 0x89abcdefu, 0x01234567u).w[1]);
    EXPECT_EQ(gumbel_log2_q25(0), -151519323);
    EXPECT_EQ(gumbel_log2_q25(0x80000000u), 17742458);
    EXPECT_EQ(gumbel_log2_q25(0xffffffffu), 33 << 25);
}

std::map<int32_t, int> draw(const std::vector<float>& logits, SampleParams how, int count) {
    std::map<int32_t, int> seen;
    for (int i = 0; i < count; ++i) {
        how.position = i;
        ++seen[sample(logits.data(), static_cast<int64_t>(logits.size()), how).token];
    }
    return seen;
}

TEST(Sample, FollowsTheSoftmax) {
    const std::vector<float> logits{0.0f, 1.0f, -1.0f, 2.0f, 0.5f, 1.5f};
    SampleParams how;
    how.temperature = 0.7f;
    how.seed = 20260101;
    const int n = 20000;
    const auto seen = draw(logits, how, n);
    double total = 0;
    for (const float l : logits)
        total += std::exp(l / 0.7);
    double chi_square = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
        const double expected = n * std::exp(logits[i] / 0.7) / total;
        const auto found = seen.find(static_cast<int32_t>(i));
        const double difference = (found == seen.end() ? 0 : found->second) - expected;
        chi_square += difference * difference / expected;
    }
    EXPECT_LT(chi_square, 20.5);  // 5 degrees of freedom, 0.1 %
}

TEST(Sample, GreedyTakesTheLowestIdOfATie) {
    const std::vector<float> logits{1.0f, 3.0f, 3.0f, 2.0f};
    EXPECT_EQ(sample(logits.data(), 4, {}).token, 1);
    SampleParams how;
    const uint32_t mask = 0b1101;
    how.mask = &mask;
    EXPECT_EQ(sample(logits.data(), 4, how).token, 2);
    how.temperature = std::nanf("");
    EXPECT_EQ(sample(logits.data(), 4, how).token, 2);
}

TEST(Sample, NothingAllowedIsMinusOne) {
    const float inf = std::numeric_limits<float>::infinity();
    const std::vector<float> logits{1.0f, -inf, -inf};
    SampleParams how;
    EXPECT_EQ(sample(logits.data(), 3, how).token, 0);
    const uint32_t mask = 0b110;
    how.mask = &mask;
    const Sampled drawn = sample(logits.data(), 3, how);
    EXPECT_EQ(drawn.token, -1);
    EXPECT_EQ(drawn.logprob, -inf);
}

TEST(Sample, ABrokenRowIsMinusOne) {
    const float inf = std::numeric_limits<float>::infinity();
    for (const float broken : {std::nanf(""), -std::nanf(""), inf}) {
        for (const float temperature : {0.0f, 0.8f}) {
            const std::vector<float> logits{1.0f, 2.0f, broken};
            SampleParams how;
            how.temperature = temperature;
            EXPECT_GE(sample(logits.data(), 2, how).token, 0);
            EXPECT_EQ(sample(logits.data(), 3, how).token, -1);
            EXPECT_EQ(sample(logits.data(), 3, how).logprob, -inf);
            const uint32_t mask = 0b011;  // the mask hides the broken logit, not that it is there
            how.mask = &mask;
            EXPECT_EQ(sample(logits.data(), 3, how).token, -1);
        }
    }
}

TEST(Sample, LogprobIsTheSoftmaxBeforeFilters) {
    const std::vector<float> logits{0.0f, std::log(3.0f), -std::numeric_limits<float>::infinity()};
    SampleParams how;
    how.temperature = 0.3f;
    how.top_k = 1;
    EXPECT_NEAR(sample(logits.data(), 3, how).logprob, std::log(0.75), 1e-6);
}

std::vector<int32_t> kept(const std::vector<float>& logits, SampleParams how) {
    how.temperature = 1;
    how.seed = 99;
    std::vector<int32_t> tokens;
    for (const auto& [token, count] : draw(logits, how, 4000))
        tokens.push_back(token);
    return tokens;
}

TEST(Sample, FiltersKeepWhatTheySay) {
    // Probabilities 0.4 0.3 0.2 0.1, not in order of id.
    const std::vector<float> logits{std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};
    using Tokens = std::vector<int32_t>;
    SampleParams how;
    EXPECT_EQ(kept(logits, how), (Tokens{0, 1, 2, 3}));
    how.top_k = 2;
    EXPECT_EQ(kept(logits, how), (Tokens{1, 3}));
    how = {};
    how.top_p = 0.65f;  // 0.4 alone is short, 0.4 + 0.3 reaches it
    EXPECT_EQ(kept(logits, how), (Tokens{1, 3}));
    how.top_p = 0.0f;
    EXPECT_EQ(kept(logits, how), (Tokens{1}));
    how = {};
    how.min_p = 0.45f;  // of 0.4: 0.18
    EXPECT_EQ(kept(logits, how), (Tokens{1, 2, 3}));
    how.top_p = 0.5f;
    how.top_k = 3;  // top_p then works on 4/9 3/9 2/9
    EXPECT_EQ(kept(logits, how), (Tokens{1, 3}));
}

TEST(Sample, TopKTakesTheLowestIdsOfATie) {
    const std::vector<float> logits(6, 1.0f);
    SampleParams how;
    how.top_k = 3;
    EXPECT_EQ(kept(logits, how), (std::vector<int32_t>{0, 1, 2}));
}

TEST(Sample, SeedAndPositionDecide) {
    const std::vector<float> logits(1000, 0.0f);
    SampleParams how;
    how.temperature = 1;
    how.seed = 5;
    const int32_t first = sample(logits.data(), 1000, how).token;
    EXPECT_EQ(sample(logits.data(), 1000, how).token, first);
    how.seed = uint64_t{5} << 32;
    const int32_t other_seed = sample(logits.data(), 1000, how).token;
    how.seed = 5;
    how.position = 1;
    const int32_t other_position = sample(logits.data(), 1000, how).token;
    EXPECT_FALSE(first == other_seed && first == other_position);
}

}  // namespace
