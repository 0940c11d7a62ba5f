#include "tests/core/server/rig.h"

namespace tenon::server::testing {
namespace {

using engine::FinishReason;

class Responses : public Rig {
protected:
    Responses() { add_responses_routes(table, service); }
    void expect_refused(const std::string& fields, const std::string& param) {
        engine.sequences.clear();
        const auto answer = post("/v1/responses", R"({"input":"Hi",)" + fields + "}");
        EXPECT_TRUE(engine.sequences.empty()) << fields;
        EXPECT_EQ(answer->status(), 400) << fields;
        EXPECT_EQ(Json(answer->body()).text("error.param"), param) << answer->body();
    }
    std::string decoded(size_t index) {
        return tiny_model().tokenizer.decode(request(index).prompt, {.skip_special = true}).value();
    }
};

const std::string kHead =
    R"({"id":"resp_ID","object":"response","created_at":0,"status":"STATUS","background":false,)"
    R"("error":null,"incomplete_details":null,"instructions":null,"max_output_tokens":null,)"
    R"("max_tool_calls":null,"metadata":{},"model":"tiny","output":[)";
const std::string kTail =
    R"(],"parallel_tool_calls":true,"previous_response_id":null,)"
    R"("reasoning":{"effort":null,"summary":null},"service_tier":"default","store":false,)"
    R"("temperature":1,"text":{"format":{"type":"text"}},"tool_choice":"auto","tools":[],)"
    R"("top_logprobs":0,"top_p":1,"truncation":"disabled","usage":)";

std::string with_status(std::string head, const std::string& status) {
    return head.replace(head.find("STATUS"), 6, status);
}

std::string usage(size_t prompt, size_t output) {
    return "{\"input_tokens\":" + std::to_string(prompt) +
           R"(,"input_tokens_details":{"cached_tokens":1},"output_tokens":)" +
           std::to_string(output) +
           R"(,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":)" +
           std::to_string(prompt + output) + "}";
}

const std::string kPart = R"({"type":"output_text","text":"Hello","annotations":[],"logprobs":[]})";
const std::string kItem = R"({"id":"msg_ID","type":"message","status":"completed",)"
                          R"("role":"assistant","content":[)" +
                          kPart + "]}";

TEST_F(Responses, Golden) {
    const auto answer = post("/v1/responses", R"({"input":"Hi"})");
    const size_t prompt = request(0).prompt.size();
    engine.say(0, "Hello");
    engine.finish(0, FinishReason::kStop, 2);
    EXPECT_EQ(masked(answer->body()), with_status(kHead, "completed") + kItem + kTail +
                                          usage(prompt, 2) + ",\"user\":null}");
}

TEST_F(Responses, GoldenStream) {
    const auto answer = post("/v1/responses", R"({"input":"Hi","stream":true})");
    const size_t prompt = request(0).prompt.size();
    engine.say(0, "Hel");
    engine.say(0, "lo");
    engine.finish(0, FinishReason::kStop, 2);
    const std::string place = R"("item_id":"msg_ID","output_index":0,"content_index":0,)";
    const std::string started =
        "\"response\":" + with_status(kHead, "in_progress") + kTail + "null,\"user\":null}";
    const std::vector<std::pair<std::string, std::string>> wanted = {
        {"response.created", started},
        {"response.in_progress", started},
        {"response.output_item.added",
         R"("output_index":0,"item":{"id":"msg_ID","type":"message","status":"in_progress",)"
         R"("role":"assistant","content":[]})"},
        {"response.content_part.added",
         place + R"("part":{"type":"output_text","text":"","annotations":[],"logprobs":[]})"},
        {"response.output_text.delta", place + R"("delta":"Hel","logprobs":[])"},
        {"response.output_text.delta", place + R"("delta":"lo","logprobs":[])"},
        {"response.output_text.done", place + R"("text":"Hello","logprobs":[])"},
        {"response.content_part.done", place + "\"part\":" + kPart},
        {"response.output_item.done", "\"output_index\":0,\"item\":" + kItem},
        {"response.completed", "\"response\":" + with_status(kHead, "completed") + kItem + kTail +
                                   usage(prompt, 2) + ",\"user\":null}"},
    };
    std::string text;
    for (size_t i = 0; i < wanted.size(); ++i) {
        text += "event: " + wanted[i].first + "\ndata: {\"type\":\"" + wanted[i].first +
                "\",\"sequence_number\":" + std::to_string(i) + "," + wanted[i].second + "}\n\n";
    }
    EXPECT_EQ(masked(answer->body()), text);
}

TEST_F(Responses, AnAnswerCutByItsLengthIsIncomplete) {
    const auto whole = post("/v1/responses", R"({"input":"Hi","max_output_tokens":2})");
    const auto stream =
        post("/v1/responses", R"({"input":"Hi","max_output_tokens":2,"stream":true})");
    for (size_t i : {0u, 1u}) {
        EXPECT_EQ(request(i).max_tokens, 2u);
        engine.say(i, "a");
        engine.finish(i, FinishReason::kLength);
    }
    const Json json(whole->body());
    EXPECT_EQ(json.text("status"), "incomplete");
    EXPECT_EQ(json.text("incomplete_details.reason"), "max_output_tokens");
    EXPECT_EQ(json.text("max_output_tokens"), "2");
    EXPECT_EQ(Json(events_of(stream->body()).back()).text("type"), "response.incomplete");
}

TEST_F(Responses, InputIsTextOrMessages) {
    post("/v1/responses", R"({"input":"Hi","instructions":"Be brief."})");
    post(
        "/v1/responses",
        R"({"input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"A"}]},)"
        R"({"role":"assistant","content":[{"type":"output_text","text":"B"}]},)"
        R"({"role":"user","content":"C"}]})");
    EXPECT_EQ(decoded(0), "system\nBe brief.\nuser\nHi\nassistant\n");
    EXPECT_EQ(decoded(1), "user\nA\nassistant\nB\nuser\nC\nassistant\n");
}

TEST_F(Responses, WhatIsNotStoredIsRefused) {
    expect_refused(R"("store":true)", "store");
    expect_refused(R"("previous_response_id":"resp_1")", "previous_response_id");
    expect_refused(R"("conversation":"c")", "conversation");
    expect_refused(R"("background":true)", "background");
    expect_refused(R"("truncation":"auto")", "truncation");
    expect_refused(R"("text":{"format":{"type":"json_schema"}})", "text.format");
    expect_refused(R"("tools":[{"type":"web_search"}])", "tools");
    expect_refused(R"("include":["reasoning.encrypted_content"])", "include");
    expect_refused(R"("top_logprobs":3)", "top_logprobs");
    expect_refused(R"("max_output_tokens":0)", "max_output_tokens");
    expect_refused(R"("max_output_tokens":9999)", "max_output_tokens");
    expect_refused(R"("temperature":3)", "temperature");
    expect_refused(R"("instructions":7)", "instructions");
    engine.sequences.clear();
    for (const char* bad : {"{}", R"({"input":[]})", R"({"input":7})"})
        EXPECT_EQ(Json(post("/v1/responses", bad)->body()).text("error.param"), "input") << bad;
    EXPECT_EQ(
        Json(post("/v1/responses", R"({"input":[{"type":"function_call","name":"f"}]})")->body())
            .text("error.param"),
        "input.0.type");
    EXPECT_TRUE(engine.sequences.empty());
    post("/v1/responses", R"({"input":"Hi","store":false,"text":{"format":{"type":"text"}}})");
    EXPECT_EQ(engine.sequences.size(), 1u);
}

TEST_F(Responses, AnErrorInAStreamIsItsLastEvent) {
    const auto answer = post("/v1/responses", R"({"input":"Hi","stream":true})");
    engine.say(0, "a");
    engine.lose(0);
    const Json json(events_of(answer->body()).back());
    EXPECT_EQ(json.text("type"), "error");
    EXPECT_EQ(json.text("code"), "worker_lost");
    EXPECT_EQ(json.text("retryable"), "true");
}

}  // namespace
}  // namespace tenon::server::testing
