// SAMPLE on the device, bit for bit against tenon/reference/sample.h.
#include <tenon/reference/sample.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "shaders/sample/params.h"
#include "tests/shaders/device_fixture.h"

namespace tenon::shaders {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Rows {
    uint32_t vocabulary;
    uint32_t count;
    std::vector<float> logits, temperature, top_p, min_p;
    std::vector<int32_t> top_k;
    std::vector<uint32_t> seed, position, mask;  // mask is empty for none

    uint32_t mask_words() const { return mask.empty() ? 0 : (vocabulary + 31) / 32; }
    reference::Sampled wanted(uint32_t row) const {
        reference::SampleParams how;
        how.temperature = temperature[row];
        how.top_k = top_k[row];
        how.top_p = top_p[row];
        how.min_p = min_p[row];
        how.seed = seed[2 * row] | uint64_t{seed[2 * row + 1]} << 32;
        how.position = static_cast<int32_t>(position[row]);
        how.mask = mask.empty() ? nullptr : mask.data() + row * mask_words();
        return reference::sample(logits.data() + row * vocabulary, vocabulary, how);
    }
};

// How the logits of a row look: what is hard about each is a different step of the shader.
enum Kind { kNormal, kTied, kZeros, kTiny, kSubnormal, kAnyBits, kFlat, kKinds };

class SampleShader : public DeviceTest {
protected:
    std::mt19937_64 random_{20};

    uint32_t below(uint64_t end) { return static_cast<uint32_t>(random_() % end); }
    float uniform() { return static_cast<float>(random_() >> 40) * 0x1p-24f; }

    float logit(Kind kind, float spread) {
        const float x = std::normal_distribution<float>(0.0f, spread)(random_);
        switch (kind) {
            case kTied: return std::round(x * 4) / 4;
            case kZeros: return below(2) == 0 ? 0.0f : -0.0f;
            case kTiny: return x * 0x1p-130f;
            case kSubnormal:
                return std::bit_cast<float>(below(1u << 25) % (1u << 24) | below(2) << 31);
            case kAnyBits: {
                const float any = std::bit_cast<float>(static_cast<uint32_t>(random_()));
                return std::isfinite(any) ? any : -kInfinity;
            }
            case kFlat: return 1.0f;
            default: return below(50) == 0 ? -kInfinity : x;
        }
    }

    // One row of each kind in turn, from `first` on.
    Rows random_rows(uint32_t vocabulary, uint32_t count, Kind first, bool masked) {
        Rows rows{vocabulary, count, {}, {}, {}, {}, {}, {}, {}, {}};
        for (uint32_t row = 0; row < count; ++row) {
            const float spread = std::pow(10.0f, 3 * uniform() - 1);
            const Kind kind = static_cast<Kind>((first + row) % kKinds);
            for (uint32_t i = 0; i < vocabulary; ++i)
                rows.logits.push_back(logit(kind, spread));
            const float usual = 0.2f + 1.5f * uniform();
            const float wide = std::pow(10.0f, 12 * uniform() - 6);
            rows.temperature.push_back(below(6) == 0 ? 0.0f : below(3) == 0 ? wide : usual);
            const uint32_t most = below(2) == 0 ? vocabulary : std::min(vocabulary, 60u);
            rows.top_k.push_back(below(3) == 0 ? 0 : static_cast<int32_t>(1 + below(most)));
            rows.top_p.push_back(below(2) == 0 ? 1.0f : uniform());
            rows.min_p.push_back(below(2) == 0 ? 0.0f : 0.3f * uniform());
            rows.seed.push_back(static_cast<uint32_t>(random_()));
            rows.seed.push_back(static_cast<uint32_t>(random_()));
            rows.position.push_back(below(100000));
            for (uint32_t word = 0; masked && word < (vocabulary + 31) / 32; ++word)
                rows.mask.push_back(static_cast<uint32_t>(random_() | random_()));
        }
        return rows;
    }

    struct Drawn {
        std::vector<int32_t> tokens;
        std::vector<float> logprobs;
    };
    // `first` and `count` choose the rows of one dispatch.
    static Status draw(const Rows& rows, uint32_t lanes, uint32_t first, uint32_t count,
                       Drawn* drawn) {
        const std::vector<float> logits(rows.logits.begin() + first * rows.vocabulary,
                                        rows.logits.begin() + (first + count) * rows.vocabulary);
        drawn->tokens.resize(rows.count, -7);
        drawn->logprobs.resize(rows.count, 7.0f);
        Dispatch sample("sample", "row");
        sample.spec(SAMPLE_SPEC_LANES, lanes)
            .push(SampleParams{0, 0, rows.vocabulary, rows.mask_words(), first, SAMPLE_HAS_LOGPROB})
            .in(SAMPLE_LOGITS, logits)
            .in(SAMPLE_TEMPERATURE, rows.temperature)
            .in(SAMPLE_TOP_K, rows.top_k)
            .in(SAMPLE_TOP_P, rows.top_p)
            .in(SAMPLE_MIN_P, rows.min_p)
            .in(SAMPLE_SEED, rows.seed)
            .in(SAMPLE_POSITION, rows.position)
            .in(SAMPLE_MASK, rows.mask)
            .out(SAMPLE_TOKEN, drawn->tokens)
            .out(SAMPLE_LOGPROB, drawn->logprobs);
        return sample.run({count, 1, 1}, count);
    }

    static void check(const Rows& rows, const Drawn& drawn) {
        for (uint32_t row = 0; row < rows.count; ++row) {
            SCOPED_TRACE(::testing::Message()
                         << "row " << row << ", temperature " << rows.temperature[row] << ", top_k "
                         << rows.top_k[row] << ", top_p " << rows.top_p[row] << ", min_p "
                         << rows.min_p[row]);
            const reference::Sampled wanted = rows.wanted(row);
            EXPECT_EQ(wanted.token, drawn.tokens[row]);
            const float bound = 1e-4f * std::max(1.0f, 0.01f * std::fabs(wanted.logprob));
            if (wanted.logprob == drawn.logprobs[row]) continue;
            EXPECT_NEAR(wanted.logprob, drawn.logprobs[row], bound);
        }
    }
};

TEST_F(SampleShader, DrawsTheReferencesTokens) {
    for (const uint32_t vocabulary : {1u, 33u, 257u, 1000u, 2050u}) {
        const bool masked = vocabulary % 2 == 1;
        SCOPED_TRACE(::testing::Message() << vocabulary << " tokens" << (masked ? ", masked" : ""));
        const Rows rows = random_rows(vocabulary, 12 * kKinds, kNormal, masked);
        Drawn drawn;
        SHADER_OK(draw(rows, SAMPLE_LANES, 0, rows.count, &drawn));
        check(rows, drawn);
    }
}

TEST_F(SampleShader, AnyNumberOfLanesDrawsTheSame) {
    for (const uint32_t lanes : {1u, 8u, 128u}) {
        SCOPED_TRACE(::testing::Message() << lanes << " lanes");
        const Rows rows = random_rows(700, 12, kTied, true);
        Drawn drawn;
        SHADER_OK(draw(rows, lanes, 0, rows.count, &drawn));
        check(rows, drawn);
    }
}

TEST_F(SampleShader, AWholeVocabulary) {
    const Rows rows = random_rows(49152, 2, kNormal, false);
    Drawn drawn;
    SHADER_OK(draw(rows, SAMPLE_LANES, 0, rows.count, &drawn));
    check(rows, drawn);
}

TEST_F(SampleShader, EdgesOfTheParameters) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float temperatures[] = {0.0f,  1.0f, 1e-6f, 1e-7f, 1e6f,
                                  3e38f, nan,  -nan,  -1.0f, kInfinity};
    const float shares[] = {0.0f, -0.0f, 1.0f, 1e-40f, 0.999999f,
                            2.0f, -1.0f, nan,  -nan,   -kInfinity};
    const uint32_t count = 10 * 20;
    Rows rows = random_rows(90, count, kTied, true);
    for (uint32_t row = 0; row < count; ++row) {
        rows.temperature[row] = temperatures[row / 20];
        rows.top_p[row] = row % 2 == 0 ? shares[row % 20 / 2] : 1.0f;
        rows.min_p[row] = row % 2 == 1 ? shares[row % 20 / 2] : 0.0f;
        rows.top_k[row] = row % 3 == 0 ? -1 : 1000;
    }
    Drawn drawn;
    SHADER_OK(draw(rows, SAMPLE_LANES, 0, rows.count, &drawn));
    check(rows, drawn);
}

TEST_F(SampleShader, BrokenRowsStayAlone) {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    Rows rows = random_rows(4099, 8, kNormal, true);
    rows.logits[4099 + 4098] = kInfinity;
    rows.logits[3 * 4099] = nan;
    rows.logits[4 * 4099 + 77] = -nan;
    std::fill_n(rows.logits.begin() + 6 * 4099, 4099, -kInfinity);
    std::fill_n(rows.mask.begin() + 7 * rows.mask_words(), rows.mask_words(), 0u);
    Drawn drawn;
    SHADER_OK(draw(rows, SAMPLE_LANES, 0, rows.count, &drawn));
    check(rows, drawn);
    for (const size_t row : {1, 3, 4, 6, 7}) {
        EXPECT_EQ(drawn.tokens[row], -1);
        EXPECT_EQ(drawn.logprobs[row], -kInfinity);
    }
}

// The rows of a matrix in two dispatches, each with its own part of the logits.
TEST_F(SampleShader, ASliceOfRowsDrawsItsOwn) {
    const Rows rows = random_rows(300, 10, kNormal, true);
    Drawn drawn;
    SHADER_OK(draw(rows, SAMPLE_LANES, 6, 4, &drawn));
    EXPECT_EQ(drawn.tokens[5], -7);
    SHADER_OK(draw(rows, SAMPLE_LANES, 0, 6, &drawn));
    check(rows, drawn);
}

}  // namespace
}  // namespace tenon::shaders
