#include "core/tokenizer/token_table.h"

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

TEST(TokenTable, FindsEveryTextAndNoOther) {
    std::vector<std::string> texts;
    for (int i = 0; i < 5000; ++i)
        texts.push_back(std::to_string(i * 7919).append("t"));
    std::vector<std::string_view> views(texts.begin(), texts.end());
    const auto table = TokenTable::build(views);
    ASSERT_TRUE(table) << table.error().message;
    ASSERT_EQ(table->size(), 5000);
    for (int i = 0; i < 5000; ++i) {
        EXPECT_EQ(table->find(texts[static_cast<size_t>(i)]), i);
        EXPECT_EQ(table->text(i), texts[static_cast<size_t>(i)]);
        EXPECT_EQ(table->find(std::to_string(i).append("x")), -1);
    }
    EXPECT_EQ(table->find(""), -1);
}

TEST(TokenTable, RefusesEqualTextsAndNamesBoth) {
    const std::vector<std::string_view> texts = {"a", "b", "a"};
    const auto table = TokenTable::build(texts);
    ASSERT_FALSE(table);
    EXPECT_EQ(table.error().code, Code::kInvalid);
    EXPECT_NE(table.error().message.find("tokens 0 and 2 are both 'a'"), std::string::npos)
        << table.error().message;
}

TEST(TokenTable, KeepsEmptyTextsButDoesNotFindThem) {
    const std::vector<std::string_view> texts = {"", "a", ""};
    const auto table = TokenTable::build(texts);
    ASSERT_TRUE(table);
    EXPECT_EQ(table->text(0), "");
    EXPECT_EQ(table->text(2), "");
    EXPECT_EQ(table->find("a"), 1);
    EXPECT_EQ(table->find(""), -1);
}

}  // namespace
}  // namespace tenon::tokenizer
