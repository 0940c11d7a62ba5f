#include "core/engine/generator.h"

#include "tests/core/engine/tiny.h"

namespace tenon::engine {
namespace {

RunnerOptions draws(uint32_t context = 128) {
    RunnerOptions options;
    options.context_length = context;
    options.step_tokens_max = 16;
    options.deterministic = true;
    return options;
}

class Generate : public testing::Test {
protected:
    void SetUp() override { SKIP_WITHOUT("cpu"); }
    void open(RunnerOptions options) {
        Result<tiny::Opened> opened = tiny::open(tiny::path("llama3-tied-f32.gguf"), options);
        ASSERT_OK(opened);
        opened_.emplace(std::move(opened).value());
    }
    Result<Generated> generate(const GenerateRequest& request) {
        streamed_.clear();
        return engine::generate(*opened_->runner, opened_->model.tokenizer, request,
                                [&](std::string_view text) { streamed_ += text; });
    }
    std::optional<tiny::Opened> opened_;
    std::string streamed_;
};

// A draw whose answer is long enough to cut: no token of it ends the generation.
GenerateRequest request(uint32_t tokens) {
    return {tiny::ids(20), tokens, {.temperature = 1.0f, .seed = 5}, {}};
}

TEST_F(Generate, EndsAfterMaxTokensAndStreamsTheText) {
    open(draws());
    const Result<Generated> answer = generate(request(12));
    ASSERT_OK(answer);
    EXPECT_EQ(answer->finish, FinishReason::kLength);
    EXPECT_EQ(answer->tokens.size(), 12u);
    EXPECT_EQ(answer->text, streamed_);
    EXPECT_FALSE(answer->text.empty());
    const Result<Generated> again = generate(request(12));
    ASSERT_OK(again);
    EXPECT_EQ(answer->tokens, again->tokens);
}

TEST_F(Generate, EndsWhenTheContextIsFull) {
    open(draws(26));
    const Result<Generated> answer = generate(request(0));
    ASSERT_OK(answer);
    EXPECT_EQ(answer->finish, FinishReason::kLength);
    EXPECT_EQ(answer->tokens.size(), 6u);
}

TEST_F(Generate, EndsBeforeAStopString) {
    open(draws());
    const Result<Generated> whole = generate(request(40));
    ASSERT_OK(whole);
    ASSERT_GT(whole->text.size(), 20u);
    // Every ASCII pair of the text as stop string: what stands before its first place is the
    // answer.
    int stops = 0;
    for (size_t at = 3; at + 2 < whole->text.size() && stops < 8; ++at) {
        const std::string stop = whole->text.substr(at, 2);
        if (static_cast<signed char>(stop[0]) < 0 || static_cast<signed char>(stop[1]) < 0)
            continue;
        GenerateRequest stopping = request(40);
        stopping.stop = {"never to be seen", stop};
        const Result<Generated> answer = generate(stopping);
        ASSERT_OK(answer);
        EXPECT_EQ(answer->finish, FinishReason::kStop);
        EXPECT_EQ(answer->text, whole->text.substr(0, whole->text.find(stop)));
        EXPECT_EQ(answer->text, streamed_);
        ++stops;
    }
    EXPECT_GT(stops, 0);
}

TEST_F(Generate, TextHeldBackForAStopStringComesWhenNoneDid) {
    open(draws());
    const Result<Generated> whole = generate(request(12));
    ASSERT_OK(whole);
    GenerateRequest stopping = request(12);
    stopping.stop = {whole->text.substr(whole->text.size() - 1) + "\x01never"};
    const Result<Generated> answer = generate(stopping);
    ASSERT_OK(answer);
    EXPECT_EQ(answer->finish, FinishReason::kLength);
    EXPECT_EQ(answer->text, whole->text);
    EXPECT_EQ(streamed_, whole->text);
}

TEST_F(Generate, ACancelledAnswerReturnsWhatItHas) {
    uint32_t cancel = 0;
    RunnerOptions options = draws(2048);
    options.cancel = &cancel;
    open(options);
    int pieces = 0;
    const Result<Generated> answer =
        engine::generate(*opened_->runner, opened_->model.tokenizer, request(0),
                         [&](std::string_view) { cancel = ++pieces >= 3 ? 1 : 0; });
    ASSERT_OK(answer);
    EXPECT_EQ(answer->finish, FinishReason::kCancelled);
    EXPECT_LE(pieces, 4);  // at most what was held back
    EXPECT_LT(answer->tokens.size(), 40u);
    cancel = 0;
    EXPECT_TRUE(generate(request(4)).ok());
}

TEST_F(Generate, SaysWhatIsWrongWithARequest) {
    open(draws(32));
    const auto message = [&](const GenerateRequest& wrong) {
        const Result<Generated> answer = generate(wrong);
        return answer.ok() ? std::string() : answer.error().message;
    };
    EXPECT_EQ(message({{}, 4, {}, {}}), "the prompt has no tokens; expected at least 1");
    EXPECT_EQ(message({tiny::ids(32), 4, {}, {}}),
              "the prompt has 32 tokens; a context of 32 leaves no room for an answer");
    EXPECT_EQ(message({tiny::ids(4), 4, {.temperature = -1}, {}}),
              "temperature is -1; expected 0 to 2 (0 is greedy)");
    EXPECT_EQ(message({{5, 300}, 4, {}, {}}), "token id 300 is outside 0 to 287");
    EXPECT_TRUE(generate({tiny::ids(31), 4, {}, {}}).ok());
}

TEST(GenerateNull, EndsAtATokenThatEndsGenerations) {
    SKIP_WITHOUT("null");
    // The null backend draws token 0, which ends a generation of this vocabulary.
    Result<tiny::Opened> opened =
        tiny::open(tiny::path("llama3-tied-f32.gguf"), draws(), tiny::config("null"));
    ASSERT_OK(opened);
    ASSERT_TRUE(opened->model.tokenizer.is_eog(0));
    const Result<Generated> answer = generate(*opened->runner, opened->model.tokenizer, request(9));
    ASSERT_OK(answer);
    EXPECT_EQ(answer->finish, FinishReason::kStop);
    EXPECT_TRUE(answer->tokens.empty());
    EXPECT_EQ(answer->text, "");
    EXPECT_STREQ(name_of(answer->finish), "stop");
}

}  // namespace
}  // namespace tenon::engine
