#include "core/hub/json_tree.h"

#include <gtest/gtest.h>

namespace tenon::hub {
namespace {

TEST(JsonTree, ReadsValues) {
    const Result<JsonNode> root = read_json(
        R"( {"a": "x\n\u00e9\ud83d\ude00", "n": 12, "f": -1.5e3, "l": [true, null, {}], "a": "second"} )");
    ASSERT_TRUE(root.ok()) << root.error().message;
    EXPECT_EQ(root->text_of("a"), "x\n\xc3\xa9\xf0\x9f\x98\x80");
    EXPECT_EQ(root->whole_of("n"), 12u);
    EXPECT_FALSE(root->whole_of("f").has_value());
    EXPECT_FALSE(root->whole_of("absent").has_value());
    ASSERT_EQ(root->find("l")->items.size(), 3u);
    EXPECT_TRUE(root->find("l")->items[0].truth);
    EXPECT_EQ(root->text_of("n"), "");
    EXPECT_FALSE(read_json("99999999999999999999")->whole_of("x").has_value());
}

TEST(JsonTree, RefusesWhatIsNoJson) {
    for (const char* text :
         {"", "{", "[1,]", "{\"a\"}", "{\"a\":1,}", "tru", "\"", "\"\\x\"", "\"\\u12\"",
          "\"\\ud800\"", "\"\\ud800\\u0041\"", "1 2", "--1", "\"a\nb\"", "{a:1}", "+"}) {
        EXPECT_EQ(read_json(text).error().code, Code::kData) << text;
    }
}

TEST(JsonTree, HasLimits) {
    EXPECT_FALSE(read_json(std::string(100000, '[')).ok());
    std::string many = "[0";
    for (int i = 0; i < 100; ++i)
        many += ",0";
    EXPECT_FALSE(read_json(many + "]", {.bytes = 1 << 20, .depth = 4, .nodes = 50}).ok());
    EXPECT_FALSE(read_json("[[[[[[0]]]]]]", {.bytes = 100, .depth = 4, .nodes = 50}).ok());
    EXPECT_FALSE(read_json("[0,0,0]", {.bytes = 3, .depth = 4, .nodes = 50}).ok());
}

}  // namespace
}  // namespace tenon::hub
