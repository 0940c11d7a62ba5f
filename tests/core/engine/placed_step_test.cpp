#include "core/engine/placed_step.h"

#include "core/engine/runner_config.h"
#include "tests/core/engine/tiny.h"

#include <algorithm>
#include <cmath>

namespace tenon::engine {
namespace {

constexpr const char* kModel = "gemma3-f32.gguf";

// The reference backend without `op`; the cpu backend is there for the rest.
config::EngineConfig without(const std::string& op, const std::string& fallback) {
    config::EngineConfig config = tiny::config("reference");
    config.plugin_dirs.push_back(TENON_BINARY_DIR "/tests/conformance/plugins");
    config.fallback = fallback;
    config.compute = "precise";
    if (!op.empty()) config.plugins["reference"] = {{"without", op}};
    return config;
}

Result<tiny::Opened> open(const config::EngineConfig& config, bool embeddings = false) {
    RunnerOptions options = tiny::logits_options();
    TENON_TRY(options, configure(config, options));
    options.context_length = 128;
    options.embeddings = embeddings;
    return tiny::open(tiny::path(kModel), std::move(options), config);
}

// Logits of a prompt of 20 tokens, then of three single ones.
Result<std::vector<float>> logits(ModelRunner& runner) {
    TENON_TRY(Sequence sequence, runner.open());
    std::vector<float> all;
    const std::vector<int32_t> ids = tiny::ids(23);
    for (size_t at = 0, n = 20; at < ids.size(); at += n, n = 1) {
        const StepItem item{&sequence, std::span(ids).subspan(at, n), 1, {}};
        TENON_CHECK(runner.step({&item, 1}));
        all.insert(all.end(), runner.logits().begin(), runner.logits().end());
    }
    return all;
}

class PlacedStepOps : public testing::TestWithParam<const char*> {};

TEST_P(PlacedStepOps, RunsTheRestElsewhere) {
    SKIP_WITHOUT("cpu");
    Result<tiny::Opened> whole = open(without("", "error"));
    ASSERT_OK(whole);
    EXPECT_EQ(whole->runner->memory().elsewhere, 0u);
    Result<tiny::Opened> parts = open(without(GetParam(), "allow"));
    ASSERT_OK(parts);
    const auto expected = logits(*whole->runner), got = logits(*parts->runner);
    ASSERT_OK(expected);
    ASSERT_OK(got);
    ASSERT_EQ(expected->size(), got->size());
    for (size_t i = 0; i < got->size(); ++i)
        ASSERT_NEAR((*expected)[i], (*got)[i], 1e-4f) << i;
    EXPECT_GT(parts->runner->memory().elsewhere, 0u);
    ASSERT_FALSE(parts->runner->placement().empty());
    const std::string& line = parts->runner->placement().front();
    EXPECT_NE(line.find("runs on cpu and moves up to "), std::string::npos) << line;
    EXPECT_NE(line.find("ms as measured: The option 'without' names the op."), std::string::npos)
        << line;
}

INSTANTIATE_TEST_SUITE_P(Engine, PlacedStepOps,
                         testing::Values("embed", "rms_norm", "matmul", "gather_rows"));

TEST(PlacedStep, ErrorRefusesAndSaysWhich) {
    SKIP_WITHOUT("cpu");
    const Result<tiny::Opened> opened = open(without("gather_rows", "error"));
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, Code::kUnsupported);
    EXPECT_NE(opened.error().message.find("The option 'without' names the op."), std::string::npos)
        << opened.error().message;
}

TEST(PlacedStep, PoolsStayWhereTheyAre) {
    SKIP_WITHOUT("cpu");
    const Result<tiny::Opened> opened = open(without("paged_attn", "allow"));
    ASSERT_FALSE(opened.ok());
    EXPECT_EQ(opened.error().code, Code::kUnsupported);
}

TEST(PlacedStep, EmbeddingsArePlacedToo) {
    SKIP_WITHOUT("cpu");
    const std::vector<int32_t> ids = tiny::ids(20);
    std::vector<float> seen[2];
    for (const bool split : {false, true}) {
        Result<tiny::Opened> opened = open(without(split ? "pool_rows" : "", "allow"), true);
        ASSERT_OK(opened);
        Result<Sequence> sequence = opened->runner->open();
        ASSERT_OK(sequence);
        const StepItem item{&*sequence, ids, 1, {}};
        const Status status = opened->runner->embed({&item, 1});
        ASSERT_TRUE(status.ok()) << status.error().message;
        const auto embedding = opened->runner->embedding(0);
        seen[split].assign(embedding.begin(), embedding.end());
    }
    ASSERT_EQ(seen[0].size(), seen[1].size());
    EXPECT_GT(*std::max_element(seen[0].begin(), seen[0].end()), 0.0f);
    for (size_t i = 0; i < seen[0].size(); ++i)
        ASSERT_NEAR(seen[0][i], seen[1][i], 1e-4f) << i;
}

TEST(PlacedStep, AFailedStepLeavesTheNextOneWhole) {
    SKIP_WITHOUT("cpu");
    uint32_t cancel = 0;
    RunnerOptions options = tiny::logits_options();
    const config::EngineConfig config = without("rms_norm", "allow");
    Result<RunnerOptions> configured = configure(config, options);
    ASSERT_OK(configured);
    configured->context_length = 128;
    configured->cancel = &cancel;
    Result<tiny::Opened> opened = tiny::open(tiny::path(kModel), *configured, config);
    ASSERT_OK(opened);
    const auto before = logits(*opened->runner);
    ASSERT_OK(before);
    cancel = 1;
    const auto cancelled = logits(*opened->runner);
    ASSERT_FALSE(cancelled.ok());
    EXPECT_EQ(cancelled.error().code, Code::kCancelled) << cancelled.error().message;
    cancel = 0;
    const auto after = logits(*opened->runner);
    ASSERT_OK(after);
    EXPECT_EQ(*before, *after);
}

}  // namespace
}  // namespace tenon::engine
