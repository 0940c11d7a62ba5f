#include "core/engine/perplexity.h"

#include "tests/core/engine/tiny.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace tenon::engine {
namespace {

// The definition, on all logits of each chunk at once.
double expected_nll(ModelRunner& runner, const std::vector<int32_t>& ids, uint32_t chunk,
                    std::optional<int32_t> bos) {
    double sum = 0;
    for (size_t begin = 0; begin + chunk <= ids.size(); begin += chunk) {
        std::vector<int32_t> tokens(ids.begin() + static_cast<ptrdiff_t>(begin),
                                    ids.begin() + static_cast<ptrdiff_t>(begin + chunk));
        if (bos) tokens[0] = *bos;
        Result<Sequence> sequence = runner.open();
        const StepItem item{&*sequence, tokens, chunk, {}};
        EXPECT_TRUE(runner.step({&item, 1}).ok());
        for (uint32_t p = chunk / 2; p + 1 < chunk; ++p) {
            const auto row = runner.logits().subspan(p * tiny::kVocabulary, tiny::kVocabulary);
            double total = 0;
            for (const float logit : row)
                total += std::exp(double{logit});
            sum += std::log(total) - double{row[static_cast<size_t>(tokens[p + 1])]};
        }
    }
    return sum;
}

TEST(Perplexity, EqualsItsDefinitionHoweverTheStepsAreCut) {
    SKIP_WITHOUT("cpu");
    const std::string file = tiny::path("llama3-untied-f32.gguf");
    Result<tiny::Opened> whole = tiny::open(file, tiny::logits_options(64));
    ASSERT_OK(whole);
    const std::vector<int32_t> ids = tiny::ids(200);
    for (const auto& [step, rows] : {std::pair{64u, 64u}, {7u, 7u}, {16u, 5u}}) {
        RunnerOptions options = tiny::logits_options(64);
        options.step_tokens_max = step;
        options.logit_rows_max = rows;
        Result<tiny::Opened> cut = tiny::open(file, options);
        ASSERT_OK(cut);
        for (const uint32_t chunk : {64u, 33u, 4u}) {
            for (const std::optional<int32_t> bos : {std::optional<int32_t>(), {0}}) {
                const Result<Perplexity> score = score_perplexity(*cut->runner, ids, chunk, bos);
                ASSERT_OK(score);
                const double nll = expected_nll(*whole->runner, ids, chunk, bos);
                EXPECT_EQ(score->tokens, 200 / chunk * (chunk - 1 - chunk / 2));
                EXPECT_NEAR(score->nll_sum, nll, 1e-9 * nll);
                EXPECT_NEAR(score->perplexity, std::exp(nll / static_cast<double>(score->tokens)),
                            1e-6);
            }
        }
    }
}

TEST(Perplexity, SaysWhatIsWrongWithATextOrAModel) {
    SKIP_WITHOUT("cpu");
    const std::string file = tiny::path("llama3-untied-f32.gguf");
    Result<tiny::Opened> opened = tiny::open(file, tiny::logits_options(64));
    ASSERT_OK(opened);
    const Result<Perplexity> brief =
        score_perplexity(*opened->runner, tiny::ids(63), 64, std::nullopt);
    ASSERT_FALSE(brief.ok());
    EXPECT_EQ(brief.error().message,
              "the text has 63 tokens; expected at least one chunk of 64 (4 or more)");

    std::vector<char> bytes = tiny::read_bytes(file);
    const Result<const formats::GgufTensor*> head =
        opened->model.source.gguf.get_tensor("output.weight");
    ASSERT_OK(head);
    const float infinity = std::numeric_limits<float>::infinity();
    std::memcpy(bytes.data() + (*head)->offset + 64 * 4 * 3, &infinity, sizeof infinity);
    const tiny::ScratchFile broken("infinite.gguf", bytes);
    Result<tiny::Opened> infinite = tiny::open(broken.path(), tiny::logits_options(64));
    ASSERT_OK(infinite);
    const Result<Perplexity> score =
        score_perplexity(*infinite->runner, tiny::ids(64), 64, std::nullopt);
    ASSERT_FALSE(score.ok());
    EXPECT_EQ(score.error().code, Code::kData);
    EXPECT_EQ(score.error().message, "the logits at token 32 of chunk 0 are not finite");
}

}  // namespace
}  // namespace tenon::engine
