// Every field of the generating endpoints at and beyond its limits. Bad input is one error that names
// the field, and nothing reaches the engine.
#include "core/server/request_fields.h"

#include "core/server/request_ids.h"
#include "tests/core/server/rig.h"

#include <fmt/format.h>

#include <set>

namespace tenon::server::testing {
namespace {

class RequestFields : public Rig {
protected:
    RequestFields() { add_openai_routes(table, service); }

    std::shared_ptr<FakeExchange> chat(const std::string& fields) {
        return post("/v1/chat/completions", R"({"messages":[{"role":"user","content":"Hi"}])" +
                                                (fields.empty() ? "" : "," + fields) + "}");
    }
    std::shared_ptr<FakeExchange> complete(const std::string& fields) {
        return post("/v1/completions",
                    R"({"prompt":"Hi")" + (fields.empty() ? "" : "," + fields) + "}");
    }
    // 400 whose param is `param`; the engine heard nothing.
    void expect_refused(const std::shared_ptr<FakeExchange>& answer, const std::string& param,
                        const std::string& what, int status = 400) {
        EXPECT_TRUE(engine.sequences.empty()) << what;
        engine.sequences.clear();
        EXPECT_EQ(answer->status(), status) << what;
        EXPECT_EQ(answer->outcomes(), 1) << what;
        const Json json(answer->body());
        EXPECT_EQ(json.text("error.param"), param) << what << "\n" << answer->body();
        EXPECT_EQ(json.text("error.type"), "invalid_request_error") << what;
        EXPECT_GT(json.text("error.message").size(), 10u) << what;
        EXPECT_EQ(admission.held, 0) << what;
    }
    void expect_taken(const std::shared_ptr<FakeExchange>& answer, const std::string& what) {
        EXPECT_FALSE(engine.sequences.empty()) << what << "\n" << answer->body();
        for (size_t i = 0; i < engine.sequences.size(); ++i)
            engine.finish(i);
        EXPECT_EQ(answer->status(), 200) << what;
        engine.sequences.clear();
    }
};

struct Row {
    const char* field;
    std::vector<const char*> good, bad;
};

// What no number field takes.
const std::vector<const char*> kNever = {
    "\"2\"",
    "\"\"",
    "true",
    "[]",
    "[1]",
    "{}",
    "1e308",
    "-1e308",
    "9223372036854775808",
    "123456789012345678901234567890",
};

const std::vector<Row>& rows() {
    static const std::vector<Row> rows = {
        {"n", {"1", "8", "null"}, {"0", "-1", "9", "1.5", "1.0", "2147483648", "1000000"}},
        {"max_tokens", {"1", "200"}, {"0", "-1", "1.5", "2147483648", "9223372036854775807"}},
        {"min_tokens", {"0", "1", "16"}, {"-1", "1.5", "2147483648"}},
        {"temperature", {"0", "2", "0.5", "1e-300"}, {"-0.001", "2.001", "-1", "2147483648"}},
        {"top_p", {"1", "0.001", "1e-300"}, {"0", "-0.1", "1.001", "-1", "2147483648"}},
        {"top_k", {"-1", "0", "1", "2147483647"}, {"-2", "1.5", "2147483648"}},
        {"min_p", {"0", "1", "0.5"}, {"-0.001", "1.001", "-1", "2147483648"}},
        {"frequency_penalty", {"-2", "2", "0"}, {"-2.001", "2.001", "2147483648"}},
        {"presence_penalty", {"-2", "2", "0"}, {"-2.001", "2.001", "2147483648"}},
        {"repetition_penalty", {"0.001", "10", "1"}, {"0", "-1", "10.001", "2147483648"}},
        {"priority", {"-1000", "0", "1000"}, {"-1001", "1001", "0.5", "2147483648"}},
        {"best_of", {"1"}, {"0", "2", "-1", "1.5", "2147483648"}},
    };
    return rows;
}

TEST_F(RequestFields, NumbersAreTakenUpToTheirLimitsAndRefusedBeyond) {
    for (const Row& row : rows()) {
        for (const bool is_chat : {true, false}) {
            const auto ask = [&](const std::string& field) {
                return is_chat ? chat(field) : complete(field);
            };
            for (const char* value : row.good) {
                const std::string field = fmt::format("\"{}\":{}", row.field, value);
                expect_taken(ask(field), field);
            }
            std::vector<const char*> bad = row.bad;
            bad.insert(bad.end(), kNever.begin(), kNever.end());
            for (const char* value : bad) {
                const std::string field = fmt::format("\"{}\":{}", row.field, value);
                expect_refused(ask(field), row.field, field);
            }
        }
    }
}

TEST_F(RequestFields, SeedIsAnyInt64) {
    for (const char* good : {"-9223372036854775808", "-1", "0", "9223372036854775807"})
        expect_taken(chat(fmt::format("\"seed\":{}", good)), good);
    for (const char* bad : {"9223372036854775808", "1.5", "1e308", "\"2\"", "true", "[]"})
        expect_refused(chat(fmt::format("\"seed\":{}", bad)), "seed", bad);
}

TEST_F(RequestFields, FlagsAreBooleans) {
    for (const char* name :
         {"stream", "ignore_eos", "include_stop_str_in_output", "skip_special_tokens", "logprobs",
          "add_generation_prompt", "continue_final_message"}) {
        for (const char* bad : {"\"true\"", "1", "0", "1.5", "[]", "{}", "1e308"}) {
            const std::string field = fmt::format("\"{}\":{}", name, bad);
            expect_refused(chat(field), name, field);
        }
    }
    for (const char* bad : {"\"true\"", "1", "[]"})
        expect_refused(complete(fmt::format("\"echo\":{}", bad)), "echo", bad);
}

TEST_F(RequestFields, StopStringsHaveACountAndALength) {
    expect_taken(chat(R"("stop":null)"), "null");
    expect_taken(chat(R"("stop":"a")"), "a");
    expect_taken(chat(R"("stop":[])"), "[]");
    expect_taken(chat(R"("stop":["a","b","c","d"])"), "4");
    expect_taken(chat("\"stop\":\"" + std::string(256, 'x') + "\""), "256 bytes");
    for (const std::string& bad :
         {std::string(R"(["a","b","c","d","e"])"), std::string(R"("")"), std::string(R"([""])"),
          "\"" + std::string(257, 'x') + "\"", std::string("1"), std::string("[1]"),
          std::string("[null]"), std::string("[[\"a\"]]"), std::string("{}"),
          std::string("true")}) {
        expect_refused(chat("\"stop\":" + bad), "stop", bad);
    }
    chat(R"("stop":["ab","é"],"include_stop_str_in_output":true)");
    EXPECT_EQ(request(0).stop, (std::vector<std::string>{"ab", "é"}));
    EXPECT_TRUE(request(0).include_stop);
}

TEST_F(RequestFields, StopTokenIdsAreOfTheVocabulary) {
    std::string many = "0";
    for (int i = 1; i < 64; ++i)
        many += fmt::format(",{}", i);
    expect_taken(chat("\"stop_token_ids\":[" + many + "]"), "64");
    expect_taken(chat("\"stop_token_ids\":[0,287]"), "both ends");
    expect_refused(chat("\"stop_token_ids\":[" + many + ",64]"), "stop_token_ids", "65");
    for (const char* bad : {"[288]", "[-1]", "[1.5]", "[\"1\"]", "[9223372036854775808]", "[1e308]",
                            "5", "\"5\"", "{}", "[null]", "[2147483648]"}) {
        expect_refused(chat(fmt::format("\"stop_token_ids\":{}", bad)), "stop_token_ids", bad);
    }
}

TEST_F(RequestFields, LogitBiasNamesTokensOnce) {
    chat(R"("logit_bias":{"287":-100,"0":100,"7":0.5})");
    EXPECT_EQ(request(0).sampling.logit_bias,
              (std::vector<std::pair<int32_t, float>>{{0, 100.f}, {7, 0.5f}, {287, -100.f}}));
    engine.finish(0);
    engine.sequences.clear();
    for (const char* bad :
         {R"({"288":1})", R"({"-1":1})", R"({"1.5":1})", R"({"x":1})", R"({"":1})", R"({" 1":1})",
          R"({"1":101})", R"({"1":-100.5})", R"({"1":"1"})", R"({"1":null})", R"({"1":1e308})",
          R"({"99999999999999999999":1})", R"({"1":1,"01":2})", "[]", "1", "\"a\"", "true"}) {
        expect_refused(chat(fmt::format("\"logit_bias\":{}", bad)), "logit_bias", bad);
    }
    service.limits.logit_bias = 3;
    expect_taken(chat(R"("logit_bias":{"1":1,"2":1,"3":1})"), "3 of 3");
    expect_refused(chat(R"("logit_bias":{"1":1,"2":1,"3":1,"4":1})"), "logit_bias", "4 of 3");
}

TEST_F(RequestFields, LogprobsOfChatAndOfCompletions) {
    for (const char* bad : {"21", "100000", "-1", "1.5", "\"2\"", "1e308", "9223372036854775808"}) {
        expect_refused(chat(fmt::format("\"logprobs\":true,\"top_logprobs\":{}", bad)),
                       "top_logprobs", bad);
        expect_refused(complete(fmt::format("\"logprobs\":{}", bad)), "logprobs", bad);
    }
    expect_refused(chat("\"top_logprobs\":2"), "top_logprobs", "without logprobs");
    expect_refused(complete("\"logprobs\":true"), "logprobs", "a boolean in completions");
    expect_refused(complete("\"logprobs\":1,\"echo\":true"), "echo", "of the prompt");
    chat("\"logprobs\":true,\"top_logprobs\":20");
    chat("\"logprobs\":true");
    chat("\"logprobs\":false");
    complete("\"logprobs\":5");
    complete("\"logprobs\":0");
    const std::vector<int32_t> wanted = {20, 0, -1, 5, 0};
    for (size_t i = 0; i < wanted.size(); ++i)
        EXPECT_EQ(request(i).logprobs, wanted[i]) << i;
}

TEST_F(RequestFields, StreamOptionsNeedAStream) {
    expect_refused(chat(R"("stream_options":{"include_usage":true})"), "stream_options", "alone");
    expect_refused(chat(R"("stream":true,"stream_options":{"include_usage":1})"),
                   "stream_options.include_usage", "an integer");
    expect_refused(chat(R"("stream":true,"stream_options":true)"), "stream_options", "a boolean");
    expect_taken(chat(R"("stream":true,"stream_options":{"include_usage":true})"), "both");
}

TEST_F(RequestFields, TheModelIsOneOfOurs) {
    expect_taken(chat(R"("model":"tiny")"), "tiny");
    expect_taken(chat(R"("model":"alias")"), "alias");
    expect_taken(chat(""), "none");
    const auto answer = chat(R"("model":"gpt-4")");
    EXPECT_NE(answer->body().find("tiny, alias"), std::string::npos);
    expect_refused(answer, "model", "gpt-4", 404);
    expect_refused(chat(R"("model":7)"), "model", "7");
    expect_refused(chat("\"model\":\"" + std::string(600, 'x') + "\""), "model", "long");
}

TEST_F(RequestFields, WhatThisServerLacksIsRefusedByName) {
    const std::vector<std::pair<const char*, const char*>> refused = {
        {"tools", R"([{"type":"function","function":{"name":"f"}}])"},
        {"functions", R"([{"name":"f"}])"},
        {"tool_choice", R"("required")"},
        {"tool_choice", R"({"type":"function","function":{"name":"f"}})"},
        {"function_call", R"({"name":"f"})"},
        {"response_format", R"({"type":"json_object"})"},
        {"response_format", R"({"type":"json_schema","json_schema":{}})"},
        {"response_format", "{}"},
        {"response_format", R"("text")"},
        {"regex", R"("(a+)+$")"},
        {"guided_json", R"({"type":"object"})"},
        {"guided_regex", R"("a")"},
        {"guided_choice", R"(["a"])"},
        {"guided_grammar", R"("g")"},
        {"structured_outputs", R"({"json":{}})"},
        {"json_schema", R"("x")"},
        {"ebnf", R"("x")"},
        {"prompt_embeds", R"("AAAA")"},
        {"use_beam_search", "true"},
        {"modalities", R"(["text","audio"])"},
        {"audio", R"({"voice":"x"})"},
        {"chat_template", R"("{{ 1 }}")"},
        {"web_search_options", R"({"a":1})"},
    };
    for (const auto& [name, value] : refused) {
        const std::string field = fmt::format("\"{}\":{}", name, value);
        expect_refused(chat(field), name, field);
    }
    expect_refused(complete(R"("suffix":"x")"), "suffix", "suffix");
    for (const char* taken :
         {R"("tools":[])", R"("tools":null)", R"("tool_choice":"none")", R"("tool_choice":"auto")",
          R"("response_format":{"type":"text"})", R"("modalities":["text"])", R"("user":"u")",
          R"("store":false)", R"("unknown_field":1)"}) {
        expect_taken(chat(taken), taken);
    }
}

TEST_F(RequestFields, UnknownFieldsAreRefusedWhenStrict) {
    service.strict = true;
    expect_refused(chat(R"("temprature":1)"), "temprature", "a typing mistake");
    expect_refused(complete(R"("messages":[])"), "messages", "a field of another endpoint");
    expect_taken(chat(R"("temperature":1,"user":"u","seed":1,"store":true)"), "known ones");
}

TEST_F(RequestFields, TheContextIsNeverCutSilently) {
    // "Hi" is 3 bytes of prompt at least; ids say the length exactly.
    const auto ids = [](size_t count) {
        std::string text = "5";
        for (size_t i = 1; i < count; ++i)
            text += ",5";
        return text;
    };
    const auto ask = [&](size_t prompt, const std::string& more) {
        return post("/v1/completions", "{\"prompt\":[" + ids(prompt) + "]" + more + "}");
    };
    expect_taken(ask(200, ",\"max_tokens\":56"), "exactly full");
    const auto answer = ask(200, ",\"max_tokens\":57");
    const Json json(answer->body());
    EXPECT_EQ(json.text("error.code"), "context_length_exceeded");
    for (const char* number : {"200", "57", "256"})
        EXPECT_NE(json.text("error.message").find(number), std::string::npos) << number;
    expect_refused(answer, "max_tokens", "one too many");
    expect_taken(ask(255, ""), "one left");
    EXPECT_EQ(Json(ask(256, "")->body()).text("error.code"), "context_length_exceeded");
    expect_refused(ask(256, ""), "prompt", "none left");
    expect_refused(ask(5'000, ""), "prompt", "much too long");

    service.limits.max_tokens_default = 40;
    ask(200, "");
    ask(230, "");
    ask(200, ",\"max_tokens\":50");
    EXPECT_EQ(request(0).max_tokens, 40u);
    EXPECT_EQ(request(1).max_tokens, 26u);
    EXPECT_EQ(request(2).max_tokens, 50u);
    engine.sequences.clear();
    expect_refused(ask(10, ",\"max_tokens\":5,\"min_tokens\":6"), "min_tokens", "min over max");
}

TEST_F(RequestFields, MaxTokensHasTwoNamesInChat) {
    chat("\"max_completion_tokens\":7");
    chat("\"max_completion_tokens\":7,\"max_tokens\":7");
    EXPECT_EQ(request(0).max_tokens, 7u);
    EXPECT_EQ(request(1).max_tokens, 7u);
    engine.sequences.clear();
    expect_refused(chat("\"max_completion_tokens\":7,\"max_tokens\":8"), "max_tokens",
                   "they differ");
    expect_refused(chat("\"max_completion_tokens\":0"), "max_completion_tokens", "0");
    const auto answer = chat("\"max_completion_tokens\":9999");
    EXPECT_EQ(Json(answer->body()).text("error.code"), "context_length_exceeded");
    expect_refused(answer, "max_completion_tokens", "9999");
}

TEST_F(RequestFields, EveryFieldReachesTheEngine) {
    caller.cache_scope = "key1";
    caller.priority = 3;
    chat(R"("temperature":0.25,"top_p":0.5,"top_k":4,"min_p":0.125,"frequency_penalty":0.5,)"
         R"("presence_penalty":-0.5,"repetition_penalty":1.5,"seed":9,"min_tokens":2,)"
         R"("max_tokens":8,"stop_token_ids":[5],"ignore_eos":true,"skip_special_tokens":false,)"
         R"("priority":-2,"cache_salt":"s")");
    chat(R"("priority":5)");
    const engine::GenerationRequest& r = request(0);
    EXPECT_EQ(r.sampling.temperature, 0.25f);
    EXPECT_EQ(r.sampling.top_p, 0.5f);
    EXPECT_EQ(r.sampling.top_k, 4);
    EXPECT_EQ(r.sampling.min_p, 0.125f);
    EXPECT_EQ(r.sampling.frequency_penalty, 0.5f);
    EXPECT_EQ(r.sampling.presence_penalty, -0.5f);
    EXPECT_EQ(r.sampling.repetition_penalty, 1.5f);
    EXPECT_EQ(r.sampling.seed, 9u);
    EXPECT_EQ(r.min_tokens, 2u);
    EXPECT_EQ(r.max_tokens, 8u);
    EXPECT_EQ(r.stop_token_ids, std::vector<int32_t>{5});
    EXPECT_TRUE(r.ignore_eos);
    EXPECT_FALSE(r.skip_special);
    EXPECT_EQ(r.priority, 1);  // behind the others of its key
    EXPECT_EQ(r.cache_scope, "key1\ns");
    EXPECT_EQ(r.queue_wait_ms, service.limits.queue_wait_ms);
    EXPECT_EQ(request(1).priority, 3);  // nobody puts himself in front
    EXPECT_EQ(request(1).cache_scope, "key1");
    EXPECT_EQ(request(1).sampling.temperature, 1.0f);
    EXPECT_EQ(request(1).sampling.top_p, 1.0f);
    EXPECT_TRUE(sampling::validate(r.sampling).ok());
}

TEST_F(RequestFields, TheSmallestLegalNumbersAreLegalForTheEngine) {
    chat("\"top_p\":1e-300,\"repetition_penalty\":1e-300,\"temperature\":1e-300");
    const Status status = sampling::validate(request(0).sampling);
    EXPECT_TRUE(status.ok()) << status.error().message;
}

TEST_F(RequestFields, AnswerIOfASeedIsTheSameForEveryN) {
    chat("\"seed\":5,\"n\":3");
    chat("\"seed\":5,\"n\":2");
    chat("\"n\":2");
    chat("\"n\":1");
    std::set<uint64_t> seeds, ids;
    for (size_t i = 0; i < engine.sequences.size(); ++i) {
        seeds.insert(request(i).sampling.seed);
        ids.insert(request(i).id);
    }
    EXPECT_EQ(request(0).sampling.seed, 5u);
    EXPECT_EQ(request(0).sampling.seed, request(3).sampling.seed);
    EXPECT_EQ(request(1).sampling.seed, request(4).sampling.seed);
    EXPECT_EQ(seeds.size(), 3u + 3u);  // three of the seed, three at random
    EXPECT_EQ(ids.size(), 8u);
}

TEST_F(RequestFields, PromptsOfCompletions) {
    const auto ask = [&](const std::string& prompt) {
        return post("/v1/completions", "{\"prompt\":" + prompt + ",\"max_tokens\":1}");
    };
    for (const char* good : {"\"a\"", "[1,2]", "[\"a\",\"b\"]", "[[1],[2,3]]", "[\"a\",[1]]"})
        expect_taken(ask(good), good);
    for (const char* bad : {"[]", "null", "1", "{}", "[288]", "[-1]", "[1.5]", "[[288]]", "[[]]",
                            "[null]", "[1,\"a\"]", "[9223372036854775808]", "[{}]", "true"}) {
        expect_refused(ask(bad), "prompt", bad);
    }
    expect_refused(post("/v1/completions", "{}"), "prompt", "missing");
    service.limits.completion_prompts = 3;
    expect_taken(ask("[\"a\",\"b\",\"c\"]"), "3 of 3");
    expect_refused(ask("[\"a\",\"b\",\"c\",\"d\"]"), "prompt", "4 of 3");
}

TEST_F(RequestFields, ABodyThatIsNoJsonNamesNoField) {
    const auto answer = post("/v1/chat/completions", "{\"messages\":");
    EXPECT_EQ(answer->status(), 400);
    EXPECT_EQ(Json(answer->body()).text("error.code"), "invalid_json");
    EXPECT_EQ(Json(answer->body()).text("error.param"), "null");
}

TEST(RequestIds, AreUnique) {
    std::set<std::string> ids;
    for (int i = 0; i < 1'000; ++i)
        ids.insert(make_id("x-"));
    EXPECT_EQ(ids.size(), 1'000u);
    EXPECT_EQ(ids.begin()->size(), 26u);
}

}  // namespace
}  // namespace tenon::server::testing
