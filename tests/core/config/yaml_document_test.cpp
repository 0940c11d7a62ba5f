#include "core/config/yaml_document.h"

#include <gtest/gtest.h>

namespace tenon::config {
namespace {

std::string only_mistake(std::string_view text) {
    const YamlDocument document(text);
    EXPECT_EQ(document.mistakes().size(), 1u) << text;
    return document.mistakes().empty() ? "" : document.mistakes().front().to_text("f");
}

TEST(YamlDocument, HasARootOrOneMistake) {
    const YamlDocument good("a: [1, 2]\n");
    EXPECT_TRUE(good.mistakes().empty());
    EXPECT_EQ(good.root()["a"].size(), 2u);
    EXPECT_TRUE(YamlDocument("").root().IsNull());
    EXPECT_TRUE(only_mistake("a: b: c\n").starts_with("f:1:5: not YAML: "));
    EXPECT_EQ(only_mistake("a: 1\n\tb: 2\n"),
              "f:2:1: not YAML: a tab indents this line, spaces are wanted\n     b: 2\n    ^");
    EXPECT_EQ(only_mistake(std::string_view("a: \0", 4)),
              "f:1:4: not YAML: byte 0x00 is a control character\n    a: ?\n       ^");
    EXPECT_EQ(only_mistake("a: 1\nb: \xff\n"),
              "f:2:4: not YAML: byte 0xff is not UTF-8\n    b: ?\n       ^");
    EXPECT_EQ(only_mistake("a: 1\n---\nb: 2\n"), "f:2:1: more than 1 document\n    ---\n    ^");
}

TEST(UnknownKey, NamesTheNearOneOrAll) {
    EXPECT_EQ(unknown_key("threds", {"threads", "compute"}),
              "'threds' is not an option; did you mean 'threads'?");
    EXPECT_EQ(unknown_key("zzz", {"threads", "compute"}),
              "'zzz' is not an option; known are: threads, compute");
    EXPECT_NE(unknown_key("zzz", std::vector<std::string>(50, "name")).find("and others"),
              std::string::npos);
}

}  // namespace
}  // namespace tenon::config
