#include "core/server/openai_chat.h"

#include "tests/core/server/rig.h"

#include <random>

namespace tenon::server::testing {
namespace {

using engine::FinishReason;
using engine::OutputToken;

class OpenAiChat : public Rig {
protected:
    OpenAiChat() { add_openai_routes(table, service); }
    std::shared_ptr<FakeExchange> chat(const std::string& fields = "") {
        return post("/v1/chat/completions",
                    R"({"messages":[{"role":"user","content":"Hi"}])" + fields + "}");
    }
};

// Token 0 and 1 of the tiny vocabulary, as logprobs show them.
std::string entry(int32_t token, const char* logprob) {
    const std::string_view bytes = tiny_model().tokenizer.token_bytes(token);
    JsonWriter json;
    json.begin_object().field("token", bytes);
    std::string list;
    for (const char c : bytes)
        list += (list.empty() ? "" : ",") + std::to_string(static_cast<unsigned char>(c));
    std::string text = json.text();
    return text + ",\"logprob\":" + logprob + ",\"bytes\":[" + list + "]";
}

TEST_F(OpenAiChat, Golden) {
    const auto answer = chat(R"(,"n":2)");
    const size_t prompt = request(0).prompt.size();
    engine.say(0, "He\"l");
    engine.say(0, "lo");
    engine.finish(0, FinishReason::kStop, 2);
    engine.say(1, "Bye");
    engine.finish(1, FinishReason::kLength, 3);
    EXPECT_EQ(answer->status(), 200);
    EXPECT_EQ(*answer->headers().find("Content-Type"), "application/json");
    EXPECT_EQ(masked(answer->body()),
              R"({"id":"chatcmpl-ID","object":"chat.completion","created":0,"model":"tiny",)"
              R"("choices":[{"index":0,"message":{"role":"assistant","content":"He\"llo",)"
              R"("refusal":null},"logprobs":null,"finish_reason":"stop"},)"
              R"({"index":1,"message":{"role":"assistant","content":"Bye","refusal":null},)"
              R"("logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":)" +
                  std::to_string(prompt) + R"(,"completion_tokens":5,"total_tokens":)" +
                  std::to_string(prompt + 5) + R"(,"prompt_tokens_details":{"cached_tokens":1}}})");
}

TEST_F(OpenAiChat, GoldenStream) {
    const auto answer =
        chat(R"(,"model":"alias","stream":true,"stream_options":{"include_usage":true})");
    const size_t prompt = request(0).prompt.size();
    engine.schedule(0);
    EXPECT_FALSE(answer->has_begun());
    engine.say(0, "He");
    engine.say(0, "");  // its text is held back
    engine.say(0, "\n");
    engine.finish(0, FinishReason::kStop, 2);
    const std::string head =
        R"(data: {"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"alias",)";
    const auto chunk = [&](const std::string& delta, const std::string& reason) {
        return head + R"("choices":[{"index":0,"delta":)" + delta +
               R"(,"logprobs":null,"finish_reason":)" + reason + "}],\"usage\":null}\n\n";
    };
    EXPECT_EQ(masked(answer->body()),
              chunk(R"({"role":"assistant","content":""})", "null") +
                  chunk(R"({"content":"He"})", "null") + chunk(R"({"content":"\n"})", "null") +
                  chunk("{}", "\"stop\"") + head + R"("choices":[],"usage":{"prompt_tokens":)" +
                  std::to_string(prompt) + R"(,"completion_tokens":2,"total_tokens":)" +
                  std::to_string(prompt + 2) +
                  ",\"prompt_tokens_details\":{\"cached_tokens\":1}}}\n\ndata: [DONE]\n\n");
    EXPECT_NE(answer->headers().find("Content-Type")->find("text/event-stream"), std::string::npos);
}

TEST_F(OpenAiChat, AStreamOfNothingHasARoleAndAnEnd) {
    const auto answer = chat(R"(,"stream":true)");
    engine.finish(0, FinishReason::kStop, 1);
    const auto events = events_of(answer->body());
    ASSERT_EQ(events.size(), 3u);
    EXPECT_EQ(Json(events[0]).text("choices.0.delta.role"), "assistant");
    EXPECT_EQ(Json(events[1]).text("choices.0.finish_reason"), "stop");
    EXPECT_EQ(events[2], "[DONE]");
    EXPECT_EQ(events[0].find("usage"), std::string::npos);
}

TEST_F(OpenAiChat, LogprobsHaveTokenBytesAndTop) {
    const std::vector<OutputToken> tokens = {
        {262, -0.5f, {{262, -0.5f}, {7, -2.0f}}},
        {7, -INFINITY, {{8, -0.25f}, {7, -INFINITY}}},
    };
    const std::string wanted = "{\"content\":[" + entry(262, "-0.5") + ",\"top_logprobs\":[" +
                               entry(262, "-0.5") + "}," + entry(7, "-2") + "}]}," +
                               entry(7, "-9999") + ",\"top_logprobs\":[" + entry(8, "-0.25") +
                               "}," + entry(7, "-9999") + "}]}],\"refusal\":null}";
    const auto whole = chat(R"(,"logprobs":true,"top_logprobs":2)");
    engine.say(0, "x", {tokens[0]});
    engine.say(0, "y", {tokens[1]});
    engine.finish(0);
    EXPECT_NE(whole->body().find("\"logprobs\":" + wanted), std::string::npos) << whole->body();

    const auto stream = chat(R"(,"logprobs":true,"top_logprobs":2,"stream":true)");
    engine.say(1, "", {tokens[0]});  // drawn, its text still held back
    engine.say(1, "xy", {tokens[1]});
    engine.finish(1);
    size_t entries = 0;
    for (const std::string& event : events_of(stream->body())) {
        if (event == "[DONE]") continue;
        const Json json(event);
        const auto content = json.find("choices.0.logprobs.content");
        if (content) entries += content->size();
    }
    EXPECT_EQ(entries, 2u);
}

// The deltas of a stream joined are the text of the whole answer, however it was cut.
TEST_F(OpenAiChat, AStreamJoinedIsTheWholeAnswer) {
    std::mt19937 random(3);
    const std::string text = "A \"quoted\" line\nwith é, 漢字, 😀, \t, \\ and \x01 in it.";
    std::vector<std::string> characters;
    for (size_t at = 0; at < text.size();) {
        size_t end = at + 1;
        while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80)
            ++end;
        characters.push_back(text.substr(at, end - at));
        at = end;
    }
    for (int round = 0; round < 50; ++round) {
        engine.sequences.clear();
        const auto whole = chat();
        const auto stream = chat(R"(,"stream":true)");
        std::string piece;
        for (const std::string& character : characters) {
            piece += character;
            if (random() % 3 != 0) continue;
            engine.say(0, piece);
            engine.say(1, piece);
            piece.clear();
        }
        engine.say(0, piece);
        engine.say(1, piece);
        engine.finish(0);
        engine.finish(1);
        std::string joined;
        for (const std::string& event : events_of(stream->body())) {
            if (event == "[DONE]") continue;
            const std::string delta = Json(event).text("choices.0.delta.content");
            if (delta != "(absent)") joined += delta;
        }
        EXPECT_EQ(joined, text);
        EXPECT_EQ(Json(whole->body()).text("choices.0.message.content"), text);
    }
}

TEST_F(OpenAiChat, ModelsAreListedAndFound) {
    const auto list = call("GET", "/v1/models");
    EXPECT_EQ(masked(list->body()),
              R"({"object":"list","data":[{"id":"tiny","object":"model","created":0,)"
              R"("owned_by":"tenon","root":"tiny","max_model_len":256},{"id":"alias",)"
              R"("object":"model","created":0,"owned_by":"tenon","root":"tiny",)"
              R"("max_model_len":256}]})");
    EXPECT_EQ(Json(call("GET", "/v1/models/alias")->body()).text("id"), "alias");
    const auto none = call("GET", "/v1/models/gpt-4");
    EXPECT_EQ(none->status(), 404);
    EXPECT_EQ(Json(none->body()).text("error.code"), "model_not_found");
}

}  // namespace
}  // namespace tenon::server::testing
