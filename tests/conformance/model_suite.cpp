// The tiny model against the interpreter: logits, greedy tokens, chunking, batching.
#include <gtest/gtest.h>

#include <algorithm>

#include "core/formats/format_list.h"
#include "tests/conformance/tiny_model.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;

struct Case {
    std::string format;
    tenon_compute compute;
};

class TinyModel : public ::testing::TestWithParam<Case> {
protected:
    Random random{Target::instance().seed(), 600};

    bool fast() const {
        const bool quantised =
            formats::find_format(GetParam().format)->format.cls != TENON_FORMAT_FLOAT;
        return quantised && GetParam().compute == TENON_COMPUTE_FAST;
    }
    // Some eight roundings deep: eight times the energy of one, twice again for rows that go badly.
    Tolerance tolerance() const { return fast() ? Tolerance{2e-3, 0.4} : Tolerance{6e-5, 0.06}; }
    std::vector<int32_t> prompt(int64_t tokens) {
        std::vector<int32_t> ids;
        for (int64_t i = 0; i < tokens; ++i) {
            ids.push_back(static_cast<int32_t>(random.below(kTinyVocabulary)));
        }
        return ids;
    }
};

// Distance between the best logit and `token`'s, which is the difference of their log
// probabilities.
float margin(const float* logits, int32_t token) {
    const float best = *std::max_element(logits, logits + kTinyVocabulary);
    return best - logits[token];
}

TEST_P(TinyModel, FollowsTheInterpreter) {
    const Trial trial = make_tiny_model(GetParam().format, TENON_F16, random);
    auto runner = Runner::create(trial, GetParam().compute);
    CONFORMANCE_MADE(runner);
    Oracle oracle(trial);
    Sequences sequences = Sequences::make(3, 16, 4, &random);
    std::vector<std::vector<int32_t>> next = {prompt(19), prompt(3), {}};
    for (int step_number = 0; step_number < 24; ++step_number) {
        SCOPED_TRACE(step_number);
        if (step_number == 4) next[2] = prompt(33);  // joins while the others decode
        Step step = make_tiny_step(sequences, next);
        step.prepare_outputs(trial.view());
        Step wanted = step;
        CONFORMANCE_OK(oracle.run(wanted));
        CONFORMANCE_OK(runner->run(step));
        const std::vector<float> reference = wanted.get<float>(kTinyLogits);
        ASSERT_TRUE(close_to(reference, step.get<float>(kTinyLogits), tolerance()));
        const std::vector<int32_t> tokens = wanted.get<int32_t>(kTinyToken);
        const std::vector<int32_t> got = step.get<int32_t>(kTinyToken);
        size_t row = 0;
        for (auto& of_sequence : next) {
            if (of_sequence.empty()) continue;
            if (Target::instance().computes() && got[row] != tokens[row]) {
                ASSERT_GE(got[row], 0);
                ASSERT_LT(got[row], kTinyVocabulary);
                EXPECT_LE(margin(reference.data() + row * kTinyVocabulary, got[row]),
                          fast() ? 0.8f : 0.1f)
                    << "row " << row << ": token " << got[row] << " for " << tokens[row];
            }
            of_sequence = {tokens[row++]};
        }
    }
}

// The same prompt whole, in chunks and beside others: equal bits where the program promises it.
TEST_P(TinyModel, ChunkingAndCompanyDoNotMatter) {
    const Trial trial = make_tiny_model(GetParam().format, TENON_F16, random);
    auto runner = Runner::create(trial, GetParam().compute, TENON_PREPARE_DETERMINISTIC);
    CONFORMANCE_MADE(runner);
    const std::vector<int32_t> ids = prompt(29);
    const std::vector<int32_t> company = prompt(9);
    const auto last_logits = [&](const std::vector<size_t>& chunks, bool alone) {
        Sequences sequences = Sequences::make(3, 16, 4, alone ? nullptr : &random);
        std::vector<float> logits;
        size_t at = 0;
        for (const size_t size : chunks) {
            const auto begin = ids.begin() + static_cast<std::ptrdiff_t>(at);
            std::vector<std::vector<int32_t>> tokens(3);
            tokens[1].assign(begin, begin + static_cast<std::ptrdiff_t>(size));
            if (!alone) tokens[0] = {company[at % company.size()], 1};
            Step step = make_tiny_step(sequences, tokens);
            const Status ran = runner->run(step);
            EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
            logits = step.get<float>(kTinyLogits);
            logits.erase(logits.begin(), logits.end() - kTinyVocabulary);
            at += size;
        }
        return logits;
    };
    const std::vector<float> whole = last_logits({29}, true);
    const std::vector<float> chunked = last_logits({16, 1, 5, 7}, true);
    const std::vector<float> batched = last_logits({13, 15, 1}, false);
    if (runner->deterministic()) {
        EXPECT_TRUE(equal_bits(whole, chunked)) << "in chunks";
        EXPECT_TRUE(equal_bits(whole, batched)) << "beside another sequence";
    } else {
        EXPECT_TRUE(close_to(whole, chunked, tolerance())) << "in chunks";
        EXPECT_TRUE(close_to(whole, batched, tolerance())) << "beside another sequence";
    }
}

// Thirty-two sequences, prefilled and decoded in mixed steps, each as it is alone.
TEST_P(TinyModel, ThirtyTwoTogetherAreEachAsAlone) {
    constexpr size_t kMany = 32;
    const Trial trial = make_tiny_model(GetParam().format, TENON_F16, random, kMany);
    auto runner = Runner::create(trial, GetParam().compute, TENON_PREPARE_DETERMINISTIC);
    CONFORMANCE_MADE(runner);
    std::vector<std::vector<int32_t>> prompts;
    for (size_t s = 0; s < kMany; ++s)
        prompts.push_back(prompt(1 + static_cast<int64_t>(s * 5 % 23)));
    const std::vector<int32_t> first = prompt(kMany);
    const std::vector<int32_t> second = prompt(kMany);
    const auto run = [&](Sequences& sequences, const std::vector<std::vector<int32_t>>& tokens) {
        Step step = make_tiny_step(sequences, tokens);
        const Status ran = runner->run(step);
        EXPECT_TRUE(ran.ok()) << (ran.ok() ? "" : ran.error().message);
        return step.get<float>(kTinyLogits);
    };
    std::vector<float> alone;
    Sequences plain = Sequences::make(kMany, 16, 4, nullptr);
    for (size_t s = 0; s < kMany; ++s) {
        std::vector<float> logits;
        for (const std::vector<int32_t>& part : {prompts[s], {first[s]}, {second[s]}}) {
            std::vector<std::vector<int32_t>> tokens(kMany);
            tokens[s] = part;
            logits = run(plain, tokens);
        }
        alone.insert(alone.end(), logits.begin(), logits.end());
    }
    // The second half's prompts come while the first half decodes.
    Sequences shuffled = Sequences::make(kMany, 16, 4, &random);
    std::vector<std::vector<int32_t>> early(kMany), late(kMany), joined(kMany), all(kMany);
    for (size_t s = 0; s < kMany; ++s) {
        (s < kMany / 2 ? early : late)[s] = prompts[s];
        (s < kMany / 2 ? late : joined)[s] = {first[s]};
        all[s] = {second[s]};
    }
    run(shuffled, early);
    run(shuffled, late);
    run(shuffled, joined);
    const std::vector<float> together = run(shuffled, all);
    if (runner->deterministic()) {
        EXPECT_TRUE(equal_bits(alone, together));
    } else {
        EXPECT_TRUE(close_to(alone, together, tolerance()));
    }
}

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const formats::StoredFormat& stored : formats::stored_formats()) {
        for (const tenon_compute compute : {TENON_COMPUTE_FAST, TENON_COMPUTE_PRECISE}) {
            all.push_back({std::string(stored.name), compute});
        }
    }
    return all;
}

INSTANTIATE_TEST_SUITE_P(Model, TinyModel, ::testing::ValuesIn(cases()), [](const auto& one) {
    return one.param.format + "_" + compute_name(one.param.compute);
});

}  // namespace
