// SAMPLE, bit for bit: the token must be the reference's on any device, for the same logits.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/formats/format_list.h"
#include "tests/conformance/random_data.h"
#include "tests/conformance/trial.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;
using ops::Dim;
using ops::ProgramBuilder;
using ops::ValueId;

enum Slot : uint32_t {
    kLogits,
    kTemperature,
    kTopK,
    kTopP,
    kMinP,
    kSeed,
    kPosition,
    kMask,
    kToken,
    kLogprob
};

constexpr int64_t kRowsMax = 16;

Trial make_trial(int64_t vocabulary, bool masked) {
    Trial trial;
    ProgramBuilder b;
    const Dim rows = Dim::of(b.symbol("L", kRowsMax));
    const ValueId logits = b.input("logits", kLogits, TENON_F32, {rows, vocabulary});
    ProgramBuilder::SampleInputs in{b.input("temperature", kTemperature, TENON_F32, {rows}),
                                    b.input("top_k", kTopK, TENON_I32, {rows}),
                                    b.input("top_p", kTopP, TENON_F32, {rows}),
                                    b.input("min_p", kMinP, TENON_F32, {rows}),
                                    b.input("seed", kSeed, TENON_U64, {rows}),
                                    b.input("position", kPosition, TENON_I32, {rows})};
    if (masked) in.mask = b.input("mask", kMask, TENON_U32, {rows, (vocabulary + 31) / 32});
    ValueId logprob = ops::kNoValue;
    const ValueId token = b.sample("sample", logits, in, &logprob);
    b.mark_output(token, kToken);
    b.mark_output(logprob, kLogprob);
    trial.program = b.build();
    return trial;
}

// Rows of logits and parameters, every filter sometimes on, ties and infinities sprinkled in.
Step random_step(Random& random, int64_t vocabulary, int64_t rows, bool masked) {
    Step step;
    step.symbols = {rows};
    std::vector<float> logits = random.normals(rows * vocabulary, 3.0f);
    for (float& x : logits) {
        if (random.below(8) == 0) x = std::round(x);
        if (random.below(50) == 0) x = -std::numeric_limits<float>::infinity();
    }
    std::vector<float> temperature, top_p, min_p;
    std::vector<int32_t> top_k, position;
    std::vector<uint64_t> seed;
    std::vector<uint32_t> mask;
    for (int64_t row = 0; row < rows; ++row) {
        temperature.push_back(
            random.below(4) == 0 ? 0.0f : 0.2f + 1.5f * static_cast<float>(random.uniform()));
        top_k.push_back(random.below(2) == 0 ? 0
                                             : static_cast<int32_t>(1 + random.below(vocabulary)));
        top_p.push_back(random.below(2) == 0 ? 1.0f : static_cast<float>(random.uniform()));
        min_p.push_back(random.below(2) == 0 ? 0.0f : 0.3f * static_cast<float>(random.uniform()));
        seed.push_back(random.bits());
        position.push_back(static_cast<int32_t>(random.below(100000)));
        for (int64_t word = 0; word < (vocabulary + 31) / 32; ++word) {
            mask.push_back(static_cast<uint32_t>(random.bits()));
        }
    }
    step.set(kLogits, logits);
    step.set(kTemperature, temperature);
    step.set(kTopK, top_k);
    step.set(kTopP, top_p);
    step.set(kMinP, min_p);
    step.set(kSeed, seed);
    step.set(kPosition, position);
    if (masked) step.set(kMask, mask);
    return step;
}

void compare(const Step& wanted, const Step& got) {
    if (!Target::instance().computes()) return;
    EXPECT_EQ(wanted.get<int32_t>(kToken), got.get<int32_t>(kToken));
    const std::vector<float> a = wanted.get<float>(kLogprob);
    const std::vector<float> b = got.get<float>(kLogprob);
    for (size_t i = 0; i < a.size(); ++i) {
        if (std::isinf(a[i])) {
            EXPECT_EQ(a[i], b[i]);
        } else {
            EXPECT_NEAR(a[i], b[i], 1e-4) << "row " << i;
        }
    }
}

// Logits of eighteen megabytes that the program itself makes: more than a small device binds at once.
TEST(Sample, RowsBeyondOneBinding) {
    constexpr int64_t kVocabulary = 50021, kRows = 90, kCols = 8;
    Random random(Target::instance().seed(), 402);
    Trial trial;
    const tenon_format& format = formats::find_format("f32")->format;
    const uint32_t entry = trial.add({"w", format, kVocabulary, kCols, TENON_USE_MATMUL,
                                      random_weight(random, format, kVocabulary, kCols)});
    ProgramBuilder b;
    const Dim rows = Dim::of(b.symbol("L", kRows));
    enum : uint32_t { kX = kLogprob + 1 };
    const ValueId x = b.input("x", kX, TENON_F32, {rows, kCols});
    const ValueId product = b.matmul("y", x, b.weight("w", entry, {kVocabulary, kCols}));
    const ValueId logits = b.softcap("cap", product, 30.0f);
    const ProgramBuilder::SampleInputs in{b.input("temperature", kTemperature, TENON_F32, {rows}),
                                          b.input("top_k", kTopK, TENON_I32, {rows}),
                                          b.input("top_p", kTopP, TENON_F32, {rows}),
                                          b.input("min_p", kMinP, TENON_F32, {rows}),
                                          b.input("seed", kSeed, TENON_U64, {rows}),
                                          b.input("position", kPosition, TENON_I32, {rows})};
    b.mark_output(b.sample("sample", logits, in), kToken);
    b.mark_output(logits, kLogits);
    trial.program = b.build();
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    for (const int64_t count : {kRows, int64_t{3}}) {
        const auto n = static_cast<size_t>(count);
        Step step;
        step.symbols = {count};
        step.set(kX, random.normals(count * kCols));
        for (const uint32_t slot : {kTemperature, kTopP, kMinP})
            step.set(slot, std::vector<float>(n, 0.0f));
        for (const uint32_t slot : {kTopK, kPosition})
            step.set(slot, std::vector<int32_t>(n, 0));
        step.set(kSeed, std::vector<uint64_t>(n, 1));
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        EXPECT_TRUE(close_to(wanted.get<float>(kLogits), step.get<float>(kLogits), {4e-6, 0.02}));
        if (!Target::instance().computes()) continue;
        // The best of the logits that the device itself made.
        const std::vector<float> made = step.get<float>(kLogits);
        const std::vector<int32_t> tokens = step.get<int32_t>(kToken);
        for (size_t row = 0; row < n; ++row) {
            const auto begin = made.begin() + static_cast<std::ptrdiff_t>(row * kVocabulary);
            EXPECT_EQ(std::max_element(begin, begin + kVocabulary) - begin, tokens[row])
                << "row " << row;
        }
    }
}

TEST(Sample, DrawsTheReferencesTokens) {
    Random random(Target::instance().seed(), 400);
    for (const int64_t vocabulary : {1, 5, 33, 257, 1000, 4099, 49152}) {
        for (const bool masked : {false, true}) {
            SCOPED_TRACE(::testing::Message() << vocabulary << (masked ? " masked" : ""));
            const Trial trial = make_trial(vocabulary, masked);
            auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
            CONFORMANCE_MADE(runner);
            Oracle oracle(trial);
            for (const int64_t rows : {1, 3, 16}) {
                Step step = random_step(random, vocabulary, rows, masked);
                step.prepare_outputs(trial.view());
                Step wanted = step;
                CONFORMANCE_OK(oracle.run(wanted));
                CONFORMANCE_OK(runner->run(step));
                compare(wanted, step);
            }
        }
    }
}

TEST(Sample, EdgesOfTheParameters) {
    const int64_t vocabulary = 40;
    const Trial trial = make_trial(vocabulary, true);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    Random random(Target::instance().seed(), 401);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float temperatures[] = {0.0f, 1.0f, 1e-7f, 1e-5f, 1e6f, nan, -1.0f};
    const float shares[] = {0.0f, 1.0f, 1e-6f, 0.999999f, 2.0f, -1.0f};
    for (const float temperature : temperatures) {
        for (const float share : shares) {
            SCOPED_TRACE(::testing::Message()
                         << "temperature " << temperature << ", shares " << share);
            Step step = random_step(random, vocabulary, 2, true);
            step.set(kTemperature, std::vector<float>{temperature, temperature});
            step.set(kTopP, std::vector<float>{share, 1.0f});
            step.set(kMinP, std::vector<float>{0.0f, share});
            step.set(kTopK, std::vector<int32_t>{-1, 1000});
            // The second row's mask allows nothing in the last round.
            if (share == -1.0f) step.set(kMask, std::vector<uint32_t>{0xffffffffu, 0xffu, 0u, 0u});
            step.prepare_outputs(trial.view());
            Step wanted = step;
            CONFORMANCE_OK(oracle.run(wanted));
            CONFORMANCE_OK(runner->run(step));
            compare(wanted, step);
        }
    }
}

// Filters over many tokens, flat and steep, many of them equal: where a cut falls inside a tie.
TEST(Sample, CutsInsideTies) {
    const int64_t vocabulary = 3000;
    const Trial trial = make_trial(vocabulary, false);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    Random random(Target::instance().seed(), 405);
    for (const float spread : {0.0f, 0.3f, 1.0f, 5.0f, 40.0f}) {
        for (const float temperature : {1e-5f, 0.3f, 1.0f, 50.0f}) {
            SCOPED_TRACE(::testing::Message()
                         << "spread " << spread << ", temperature " << temperature);
            Step step = random_step(random, vocabulary, kRowsMax, false);
            std::vector<float> logits = random.normals(kRowsMax * vocabulary, spread);
            for (float& x : logits)
                x = std::round(x * 4) / 4;
            step.set(kLogits, logits);
            step.set(kTemperature, std::vector<float>(kRowsMax, temperature));
            std::vector<int32_t> top_k;
            std::vector<float> top_p;
            for (int64_t row = 0; row < kRowsMax; ++row) {
                const int32_t counts[] = {0, 1, 40, 700, 2999, 3000};
                top_k.push_back(counts[random.below(6)]);
                top_p.push_back(row % 3 == 0 ? 1.0f : static_cast<float>(random.uniform()));
            }
            step.set(kTopK, top_k);
            step.set(kTopP, top_p);
            step.prepare_outputs(trial.view());
            Step wanted = step;
            CONFORMANCE_OK(oracle.run(wanted));
            CONFORMANCE_OK(runner->run(step));
            compare(wanted, step);
        }
    }
}

TEST(Sample, GreedyTieTakesTheLowestId) {
    const int64_t vocabulary = 300;
    const Trial trial = make_trial(vocabulary, false);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Random random(Target::instance().seed(), 402);
    Step step = random_step(random, vocabulary, 1, false);
    std::vector<float> logits(static_cast<size_t>(vocabulary), 1.0f);
    for (const size_t i : {97u, 98u, 200u, 299u})
        logits[i] = 2.0f;
    step.set(kLogits, logits);
    step.set(kTemperature, std::vector<float>{0.0f});
    CONFORMANCE_OK(runner->run(step));
    if (Target::instance().computes()) {
        EXPECT_EQ(step.get<int32_t>(kToken)[0], 97);
    }
}

// NaN or +infinity at a random place of one row: that row answers -1, the others what they answered.
TEST(Sample, ABrokenRowAnswersMinusOneAndStaysAlone) {
    Random random(Target::instance().seed(), 403);
    const float inf = std::numeric_limits<float>::infinity();
    const float nan = std::numeric_limits<float>::quiet_NaN();
    const float broken[] = {nan, -nan, inf};
    for (const int64_t vocabulary : {2, 33, 511, 4099, 49152}) {
        for (const bool masked : {false, true}) {
            const Trial trial = make_trial(vocabulary, masked);
            auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
            CONFORMANCE_MADE(runner);
            Oracle oracle(trial);
            for (int round = 0; round < 6; ++round) {
                Step step = random_step(random, vocabulary, kRowsMax, masked);
                CONFORMANCE_OK(runner->run(step));
                std::vector<int32_t> tokens = step.get<int32_t>(kToken);
                std::vector<float> logits = step.get<float>(kLogits);
                const int64_t row = random.below(kRowsMax);
                const int64_t place = random.below(vocabulary);
                logits[static_cast<size_t>(row * vocabulary + place)] = broken[round % 3];
                step.set(kLogits, logits);
                step.prepare_outputs(trial.view());
                Step wanted = step;
                CONFORMANCE_OK(oracle.run(wanted));
                CONFORMANCE_OK(runner->run(step));
                SCOPED_TRACE(::testing::Message() << vocabulary << (masked ? " masked" : "")
                                                  << ", place " << place << " of row " << row);
                compare(wanted, step);
                if (!Target::instance().computes()) continue;
                tokens[static_cast<size_t>(row)] = -1;
                EXPECT_EQ(step.get<int32_t>(kToken), tokens);
                EXPECT_EQ(step.get<float>(kLogprob)[static_cast<size_t>(row)], -inf);
            }
        }
    }
}

// -infinity is a logit that is never drawn; a row of nothing else has no token.
TEST(Sample, MinusInfinityIsLegal) {
    const int64_t vocabulary = 600;
    const Trial trial = make_trial(vocabulary, false);
    auto runner = Runner::create(trial, TENON_COMPUTE_PRECISE);
    CONFORMANCE_MADE(runner);
    Random random(Target::instance().seed(), 404);
    const float inf = std::numeric_limits<float>::infinity();
    Step step = random_step(random, vocabulary, 3, false);
    std::vector<float> logits(3 * static_cast<size_t>(vocabulary), -inf);
    logits[599] = -3.0f;   // row 0: one token only
    logits[1200 + 7] = 1;  // row 2; row 1 has none
    step.set(kLogits, logits);
    CONFORMANCE_OK(runner->run(step));
    if (Target::instance().computes()) {
        EXPECT_EQ(step.get<int32_t>(kToken), (std::vector<int32_t>{599, -1, 7}));
    }
}

}  // namespace
