#include "tests/core/server/rig.h"

namespace tenon::server::testing {
namespace {

using engine::FinishReason;

class Anthropic : public Rig {
protected:
    Anthropic() { add_anthropic_routes(table, service); }
    std::shared_ptr<FakeExchange> ask(const std::string& fields = "") {
        return post(
            "/v1/messages",
            R"({"model":"tiny","max_tokens":9,"messages":[{"role":"user","content":"Hi"}])" +
                fields + "}");
    }
    void expect_refused(const std::string& body, const std::string& param) {
        engine.sequences.clear();
        const auto answer = post("/v1/messages", body);
        EXPECT_TRUE(engine.sequences.empty()) << body;
        EXPECT_EQ(answer->status(), 400) << body;
        const Json json(answer->body());
        EXPECT_EQ(json.text("type"), "error") << body;
        EXPECT_EQ(json.text("error.type"), "invalid_request_error") << body;
        EXPECT_EQ(json.text("error.param"), param) << answer->body();
    }
    std::string decoded(size_t index) {
        return tiny_model().tokenizer.decode(request(index).prompt, {.skip_special = true}).value();
    }
};

TEST_F(Anthropic, Golden) {
    const auto answer = ask();
    const size_t prompt = request(0).prompt.size();
    EXPECT_EQ(request(0).max_tokens, 9u);
    engine.say(0, "Hello");
    engine.finish(0, FinishReason::kStop, 2);
    EXPECT_EQ(masked(answer->body()),
              R"({"id":"msg_ID","type":"message","role":"assistant","model":"tiny",)"
              R"("content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn",)"
              R"("stop_sequence":null,"usage":{"input_tokens":)" +
                  std::to_string(prompt - 1) +
                  R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":1,)"
                  R"("output_tokens":2}})");
}

TEST_F(Anthropic, GoldenStream) {
    const auto answer = ask(R"(,"stream":true,"stop_sequences":["END"])");
    const size_t prompt = request(0).prompt.size();
    engine.say(0, "Hel");
    engine.say(0, "lo");
    engine.finish(0, FinishReason::kStop, 3, std::nullopt, "END");
    const std::string wanted =
        "event: message_start\n"
        R"(data: {"type":"message_start","message":{"id":"msg_ID","type":"message",)"
        R"("role":"assistant","model":"tiny","content":[],"stop_reason":null,"stop_sequence":null,)"
        R"("usage":{"input_tokens":)" +
        std::to_string(prompt) +
        R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}})"
        "\n\nevent: content_block_start\n"
        R"(data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}})"
        "\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: content_block_delta\n"
        R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}})"
        "\n\nevent: content_block_delta\n"
        R"(data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}})"
        "\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
        "event: message_delta\n"
        R"(data: {"type":"message_delta","delta":{"stop_reason":"stop_sequence",)"
        R"("stop_sequence":"END"},"usage":{"input_tokens":)" +
        std::to_string(prompt - 1) +
        R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":1,"output_tokens":3}})"
        "\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    EXPECT_EQ(masked(answer->body()), wanted);
    EXPECT_EQ(answer->ping(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

TEST_F(Anthropic, StopReasons) {
    const auto reason = [&](FinishReason finish, std::optional<std::string> matched) {
        const auto answer = ask(R"(,"stop_sequences":["END"])");
        engine.finish(engine.sequences.size() - 1, finish, 1, std::nullopt, std::move(matched));
        return Json(answer->body()).text("stop_reason");
    };
    EXPECT_EQ(reason(FinishReason::kLength, std::nullopt), "max_tokens");
    EXPECT_EQ(reason(FinishReason::kStop, std::nullopt), "end_turn");
    EXPECT_EQ(reason(FinishReason::kStop, "<|im_end|>"), "end_turn");
    EXPECT_EQ(reason(FinishReason::kStop, "END"), "stop_sequence");
}

TEST_F(Anthropic, SystemAndPrefillBecomeThePrompt) {
    ask(R"(,"system":"S")");
    ask(R"(,"system":[{"type":"text","text":"S"},{"type":"text","text":"T",)"
        R"("cache_control":{"type":"ephemeral"}}])");
    post("/v1/messages",
         R"({"max_tokens":9,"messages":[{"role":"user","content":[{"type":"text","text":"Q"}]},)"
         R"({"role":"assistant","content":"Sure"}]})");
    EXPECT_EQ(decoded(0), "system\nS\nuser\nHi\nassistant\n");
    EXPECT_EQ(decoded(1), "system\nS\nT\nuser\nHi\nassistant\n");
    EXPECT_EQ(decoded(2), "user\nQ\nassistant\nSure");
}

TEST_F(Anthropic, BadFieldsAreNamedInItsForm) {
    const std::string messages = R"("messages":[{"role":"user","content":"Hi"}])";
    expect_refused("{" + messages + "}", "max_tokens");
    expect_refused(R"({"max_tokens":9})", "messages");
    expect_refused(R"({"max_tokens":9,"messages":[{"role":"system","content":"Hi"}]})",
                   "messages.0.role");
    expect_refused(R"({"max_tokens":9,"messages":[{"role":"user","content":[{"type":"image"}]}]})",
                   "messages.0.content.0.type");
    const std::string head = "{\"max_tokens\":9," + messages + ",";
    expect_refused(head + R"("tools":[{"name":"f"}]})", "tools");
    expect_refused(head + R"("tool_choice":{"type":"any"}})", "tool_choice");
    expect_refused(head + R"("thinking":{"type":"enabled","budget_tokens":1024}})", "thinking");
    expect_refused(head + R"("stop_sequences":["a","b","c","d","e"]})", "stop_sequences");
    expect_refused(head + R"("system":7})", "system");
    expect_refused(head + R"("temperature":-1})", "temperature");
    for (const char* bad :
         {"0", "-1", "1.5", "\"9\"", "2147483648", "9223372036854775808", "1e308", "9999"}) {
        expect_refused("{\"max_tokens\":" + std::string(bad) + "," + messages + "}", "max_tokens");
    }
    expect_refused("{", "(absent)");
    const auto unknown =
        post("/v1/messages", R"({"model":"claude","max_tokens":9,)" + messages + "}");
    EXPECT_EQ(unknown->status(), 404);
    EXPECT_EQ(Json(unknown->body()).text("error.type"), "not_found_error");
}

TEST_F(Anthropic, AnErrorInAStreamHasItsForm) {
    const auto answer = ask(R"(,"stream":true)");
    engine.say(0, "a");
    engine.lose(0);
    const Json json(events_of(answer->body()).back());
    EXPECT_EQ(json.text("type"), "error");
    EXPECT_EQ(json.text("error.type"), "overloaded_error");
    EXPECT_EQ(json.text("error.code"), "worker_lost");
    EXPECT_EQ(answer->body().find("message_stop"), std::string::npos);
}

TEST_F(Anthropic, TokensAreCountedWithoutTheEngine) {
    ask(R"(,"system":"S")");
    const auto answer = post("/v1/messages/count_tokens",
                             R"({"model":"tiny","system":"S","messages":[{"role":"user",)"
                             R"("content":"Hi"}]})");
    EXPECT_EQ(answer->body(),
              "{\"input_tokens\":" + std::to_string(request(0).prompt.size()) + "}");
    EXPECT_EQ(engine.sequences.size(), 1u);
    EXPECT_EQ(post("/v1/messages/count_tokens", "{}")->status(), 400);
}

}  // namespace
}  // namespace tenon::server::testing
