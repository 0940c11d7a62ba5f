#include "core/server/json_body.h"

#include <gtest/gtest.h>

#include <random>

namespace tenon::server {
namespace {

std::optional<ApiError> parse(const std::string& text, JsonBody& body,
                              const config::Limits& limits = {}) {
    return JsonBody::parse(text, limits, body);
}

std::string refusal(const std::string& text, const config::Limits& limits = {}) {
    JsonBody body;
    const auto error = parse(text, body, limits);
    if (!error) return "(taken)";
    EXPECT_EQ(error->status, 400);
    EXPECT_EQ(error->code, "invalid_json");
    return error->message;
}

TEST(JsonBody, KeepsEveryKindOfValue) {
    JsonBody body;
    ASSERT_FALSE(parse(R"({"a":null,"b":[true,false,-1,1.5,"x\u00e9\n\u0000y"],)"
                       R"("c":{"d":9223372036854775807,"e":9223372036854775808,"f":1e308},"":{}})",
                       body));
    const JsonView root = body.root();
    EXPECT_EQ(root.size(), 4u);
    EXPECT_TRUE(root.find("a")->is(JsonKind::kNull));
    std::vector<std::string> seen;
    root.find("b")->for_items([&](JsonView item) {
        seen.push_back(item.is(JsonKind::kString) ? std::string(item.as_string())
                                                  : item.describe());
    });
    EXPECT_EQ(seen, (std::vector<std::string>{"true", "false", "-1", "1.5",
                                              std::string("x\u00e9\n\0y", 6)}));
    EXPECT_EQ(root.find("c")->find("d")->as_int(), INT64_MAX);
    EXPECT_TRUE(root.find("c")->find("e")->is(JsonKind::kUint));
    EXPECT_EQ(root.find("c")->find("e")->as_uint(), 9223372036854775808u);
    EXPECT_EQ(root.find("c")->find("f")->as_number(), 1e308);
    EXPECT_TRUE(root.find("")->is(JsonKind::kObject));
    EXPECT_FALSE(root.find("z").has_value());
}

TEST(JsonBody, RefusesWhatIsNoJsonObjectAndSaysWhere) {
    EXPECT_EQ(refusal(""), "The body is empty; a JSON object is expected.");
    EXPECT_EQ(refusal(" \n"), "The body is empty; a JSON object is expected.");
    EXPECT_EQ(refusal("[1]"), "The body is an array; a JSON object is expected.");
    EXPECT_EQ(refusal("7"), "The body is 7; a JSON object is expected.");
    EXPECT_EQ(refusal("{\"a\":1"), "The body ends inside a value, at byte 6.");
    EXPECT_EQ(refusal("{\"a\":tru"), "The body ends inside a value, at byte 8.");
    EXPECT_EQ(refusal("{\"a\":1} x"), "The body goes on behind its JSON value at byte 8.");
    EXPECT_EQ(refusal("{\"a\":}"), "The body is not valid JSON in UTF-8 at byte 5 (0x7d).");
    for (const char* bad : {"{'a':1}", "{\"a\":NaN}", "{\"a\":Infinity}", "{\"a\":-Infinity}",
                            "{\"a\":01}", "{\"a\":1.}", "{\"a\":.5}", "{\"a\":+1}", "{a:1}",
                            "{\"a\":1,}", "{\"a\":[1,]}", "// x\n{}", "{\"a\":\"\t\"}",
                            "{\"a\":0x1}", "\xef\xbb\xbf{}", "hello", "{\"a\":1}{\"b\":2}", "}"}) {
        EXPECT_NE(refusal(bad), "(taken)") << bad;
    }
}

TEST(JsonBody, RefusesTextThatIsNotUtf8) {
    for (const char* bad : {"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}",
                            "{\"a\":\"\xf4\x90\x80\x80\"}", "{\"a\":\"\xe2\x82\"}", "{\"\xff\":1}",
                            "{\"a\":\"\\ud800\"}", "{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800x\"}"}) {
        EXPECT_NE(refusal(bad), "(taken)") << bad;
    }
    EXPECT_EQ(refusal(R"({"a":"\ud83d\ude00"})"), "(taken)");
}

TEST(JsonBody, RefusesNumbersBeyondADouble) {
    EXPECT_NE(refusal("{\"a\":1e400}"), "(taken)");
    EXPECT_NE(refusal("{\"a\":-1e999999999999}"), "(taken)");
    EXPECT_EQ(refusal("{\"a\":1e-400}"), "(taken)");  // is zero
    EXPECT_EQ(refusal("{\"a\":123456789012345678901234567890}"), "(taken)");
}

TEST(JsonBody, LimitsTheDepth) {
    config::Limits limits;
    limits.json_depth = 5;
    const auto nested = [](size_t arrays) {
        return "{\"a\":" + std::string(arrays, '[') + std::string(arrays, ']') + "}";
    };
    EXPECT_EQ(refusal(nested(4), limits), "(taken)");
    EXPECT_EQ(refusal(nested(5), limits), "The body nests deeper than 5 levels at byte 9.");
    EXPECT_NE(refusal(nested(100'000)), "(taken)");
    EXPECT_NE(refusal("{\"a\":" + std::string(100'000, '[')), "(taken)");
}

TEST(JsonBody, LimitsTheKeysOfAnObject) {
    config::Limits limits;
    limits.json_keys = 3;
    EXPECT_EQ(refusal(R"({"a":1,"b":2,"c":{"x":1,"y":2,"z":3}})", limits), "(taken)");
    EXPECT_NE(refusal(R"({"a":1,"b":2,"c":{"w":0,"x":1,"y":2,"z":3}})", limits).find("4 keys"),
              std::string::npos);
}

TEST(JsonBody, RefusesAKeyThatComesTwice) {
    EXPECT_NE(refusal(R"({"a":1,"b":{"c":[1,{"d":1}],"e":2,"c":3}})").find("'c' comes twice"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"n":1,"\u006e":2})").find("'n' comes twice"), std::string::npos);
    EXPECT_EQ(refusal(R"({"a":{"x":1},"b":{"x":1}})"), "(taken)");
    // What a message shows of a key is short and printable.
    const std::string long_key(5'000, '\x01' + 96);
    EXPECT_LT(refusal("{\"" + long_key + "\":1,\"" + long_key + "\":2}").size(), 200u);
}

TEST(JsonBody, CostsAtMostTwentyTimesItsText) {
    for (const char* unit :
         {"1,", "[],", "{},", "[1],", "\"\",", "\"a\",", "{\"\":1},", "1.5,", "null,", "[[]],"}) {
        std::string text = "{\"a\":[";
        while (text.size() < (64 << 10))
            text += unit;
        text.back() = ']';
        text += '}';
        JsonBody body;
        ASSERT_FALSE(parse(text, body)) << unit;
        EXPECT_LE(body.memory_bytes(), 20 * text.size()) << unit;
    }
}

TEST(JsonBody, SurvivesEveryTruncationAndManyMutations) {
    const std::string good =
        R"({"model":"x","messages":[{"role":"user","content":"h\u00e9é"}],)"
        R"("temperature":0.5,"n":2,"logit_bias":{"5":-1e2},"stop":["a",null]})";
    JsonBody body;
    for (size_t i = 0; i < good.size(); ++i)
        EXPECT_TRUE(parse(good.substr(0, i), body).has_value()) << i;
    std::mt19937 random(7);
    size_t taken = 0;
    for (int i = 0; i < 20'000; ++i) {
        std::string text = good;
        for (uint32_t changes = 1 + random() % 3; changes > 0; --changes)
            text[random() % text.size()] = static_cast<char>(random());
        if (parse(text, body)) continue;
        ++taken;
        (void)body.root().find("messages");
    }
    EXPECT_GT(taken, 100u);
}

}  // namespace
}  // namespace tenon::server
