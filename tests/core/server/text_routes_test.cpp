#include "tests/core/server/rig.h"

namespace tenon::server::testing {
namespace {

class TextRoutes : public Rig {
protected:
    TextRoutes() { add_text_routes(table, service); }
};

TEST_F(TextRoutes, TextGoesToIdsAndBack) {
    const auto answer = post("/tokenize", R"({"prompt":"Hé!","add_special_tokens":false,)"
                                          R"("return_token_strs":true})");
    const Json json(answer->body());
    EXPECT_EQ(json.text("max_model_len"), "256");
    std::string ids;
    size_t count = 0;
    json.find("tokens")->for_items(
        [&](JsonView id) { ids += (count++ == 0 ? "" : ",") + id.describe(); });
    EXPECT_EQ(json.text("count"), std::to_string(count));
    EXPECT_EQ(json.find("token_strs")->size(), count);
    const auto back = post("/detokenize", "{\"tokens\":[" + ids + "]}");
    EXPECT_EQ(Json(back->body()).text("prompt"), "Hé!");
    EXPECT_EQ(Json(back->body()).text("text"), "Hé!");
}

TEST_F(TextRoutes, AConversationIsRenderedAndCounted) {
    const std::string messages = R"({"messages":[{"role":"user","content":"Hi"}]})";
    EXPECT_EQ(Json(post("/apply-template", messages)->body()).text("prompt"),
              "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
    const Json json(post("/tokenize", messages)->body());
    EXPECT_GT(json.find("tokens")->size(), 4u);
    EXPECT_TRUE(engine.sequences.empty());
}

TEST_F(TextRoutes, BadFieldsAreNamed) {
    const std::vector<std::tuple<const char*, const char*, const char*>> rows = {
        {"/tokenize", "{}", "prompt"},
        {"/tokenize", R"({"prompt":7})", "prompt"},
        {"/tokenize", R"({"prompt":"a","add_special_tokens":1})", "add_special_tokens"},
        {"/tokenize", R"({"messages":[]})", "messages"},
        {"/detokenize", "{}", "tokens"},
        {"/detokenize", R"({"tokens":"a"})", "tokens"},
        {"/detokenize", R"({"tokens":[288]})", "tokens"},
        {"/detokenize", R"({"tokens":[-1]})", "tokens"},
        {"/detokenize", R"({"tokens":[1.5]})", "tokens"},
        {"/apply-template", "{}", "messages"},
        {"/apply-template", R"({"messages":[{"role":"user"}]})", "messages.0.content"},
    };
    for (const auto& [path, body, param] : rows) {
        const auto answer = post(path, body);
        EXPECT_EQ(answer->status(), 400) << path << body;
        EXPECT_EQ(Json(answer->body()).text("error.param"), param) << path << body;
    }
}

}  // namespace
}  // namespace tenon::server::testing
