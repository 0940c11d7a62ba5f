#include "core/server/openai_completions.h"

#include "tests/core/server/rig.h"

namespace tenon::server::testing {
namespace {

using engine::FinishReason;

class OpenAiCompletions : public Rig {
protected:
    OpenAiCompletions() { add_openai_routes(table, service); }
};

TEST_F(OpenAiCompletions, GoldenOfTwoPromptsAndTwoAnswers) {
    const auto answer = post("/v1/completions", R"({"prompt":[[1,2],[3,4,5]],"n":2})");
    ASSERT_EQ(engine.sequences.size(), 4u);
    EXPECT_EQ(request(1).prompt, (std::vector<int32_t>{1, 2}));
    EXPECT_EQ(request(2).prompt, (std::vector<int32_t>{3, 4, 5}));
    for (size_t i : {3u, 1u, 0u, 2u}) {
        engine.say(i, "t" + std::to_string(i));
        engine.finish(i, i == 3 ? FinishReason::kLength : FinishReason::kStop, 2);
    }
    EXPECT_EQ(masked(answer->body()),
              R"({"id":"cmpl-ID","object":"text_completion","created":0,"model":"tiny","choices":[)"
              R"({"index":0,"text":"t0","logprobs":null,"finish_reason":"stop"},)"
              R"({"index":1,"text":"t1","logprobs":null,"finish_reason":"stop"},)"
              R"({"index":2,"text":"t2","logprobs":null,"finish_reason":"stop"},)"
              R"({"index":3,"text":"t3","logprobs":null,"finish_reason":"length"}],)"
              R"("usage":{"prompt_tokens":5,"completion_tokens":8,"total_tokens":13,)"
              R"("prompt_tokens_details":{"cached_tokens":2}}})");
}

TEST_F(OpenAiCompletions, GoldenStream) {
    const auto answer = post("/v1/completions", R"({"prompt":[1],"stream":true})");
    engine.say(0, "a");
    engine.say(0, "b");
    engine.finish(0, FinishReason::kLength);
    const std::string head = R"(data: {"id":"cmpl-ID","object":"text_completion","created":0,)"
                             R"("model":"tiny","choices":[{"index":0,"text":)";
    EXPECT_EQ(masked(answer->body()),
              head + "\"a\",\"logprobs\":null,\"finish_reason\":null}]}\n\n" + head +
                  "\"b\",\"logprobs\":null,\"finish_reason\":null}]}\n\n" + head +
                  "\"\",\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\ndata: [DONE]\n\n");
}

TEST_F(OpenAiCompletions, LogprobsHaveOffsetsInCharacters) {
    const tokenizer::Tokenizer& tokenizer = tiny_model().tokenizer;
    // A byte that is no character alone.
    int32_t part = -1, plain = -1;
    for (int32_t id = 0; id < tokenizer.size(); ++id) {
        const std::string_view bytes = tokenizer.token_bytes(id);
        if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) == 0xc3) part = id;
        if (bytes.size() > 1 && plain < 0 && bytes.find('<') == std::string_view::npos) plain = id;
    }
    ASSERT_GE(part, 0);
    ASSERT_GE(plain, 0);
    const std::string word(tokenizer.token_bytes(plain));
    const std::string next = std::to_string(word.size());
    const std::vector<engine::OutputToken> tokens = {
        {plain, -1.0f, {{plain, -1.0f}, {part, -2.0f}}}, {part, -0.5f, {{part, -0.5f}}}};
    const std::string wanted = "{\"tokens\":[\"" + word +
                               R"(","bytes:\\xc3"],"token_logprobs":[-1,-0.5],)" +
                               "\"top_logprobs\":[{\"" + word + R"(":-1,"bytes:\\xc3":-2},)" +
                               R"({"bytes:\\xc3":-0.5}],"text_offset":[0,)" + next + "]}";
    const auto whole = post("/v1/completions", R"({"prompt":[1],"logprobs":2})");
    engine.say(0, word, tokens);
    engine.finish(0);
    EXPECT_NE(whole->body().find(wanted), std::string::npos) << whole->body() << "\n" << wanted;
    const auto stream = post("/v1/completions", R"({"prompt":[1],"logprobs":2,"stream":true})");
    engine.say(1, word, {tokens[0]});
    engine.say(1, "", {tokens[1]});
    engine.finish(1);
    EXPECT_NE(stream->body().find("\"text_offset\":[0]"), std::string::npos);
    EXPECT_NE(stream->body().find("\"text_offset\":[" + next + "]"), std::string::npos);
}

TEST_F(OpenAiCompletions, EchoPutsThePromptInFront) {
    const auto whole = post("/v1/completions", R"({"prompt":["One ","Two "],"echo":true})");
    const auto stream = post("/v1/completions", R"({"prompt":"One ","echo":true,"stream":true})");
    engine.say(0, "1");
    engine.finish(0);
    engine.say(1, "2");
    engine.finish(1);
    engine.say(2, "1");
    engine.say(2, "1");
    engine.finish(2);
    const Json json(whole->body());
    EXPECT_EQ(json.text("choices.0.text"), "One 1");
    EXPECT_EQ(json.text("choices.1.text"), "Two 2");
    std::string joined;
    for (const std::string& event : events_of(stream->body()))
        if (event != "[DONE]") joined += Json(event).text("choices.0.text");
    EXPECT_EQ(joined, "One 11");
}

TEST_F(OpenAiCompletions, SpecialTokensInAPromptAreSpecial) {
    post("/v1/completions", R"({"prompt":"<|im_start|>a"})");
    const auto special = tiny_model().tokenizer.find_token("<|im_start|>");
    ASSERT_TRUE(special);
    EXPECT_NE(std::count(request(0).prompt.begin(), request(0).prompt.end(), *special), 0);
}

}  // namespace
}  // namespace tenon::server::testing
