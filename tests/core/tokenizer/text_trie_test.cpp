#include "core/tokenizer/text_trie.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

TEST(TextTrie, FindsEveryTextAndNoOther) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    std::map<std::string, int32_t> wanted;
    for (int32_t i = 0; i < 3000; ++i) {
        std::string text;
        for (uint32_t n = 1 + random() % 6; n > 0; --n)
            text += static_cast<char>(random() % 3 == 0 ? random() % 256 : 'a' + random() % 2);
        wanted.emplace(text, i);
    }
    std::vector<TextTrie::Text> texts;
    for (const auto& [text, id] : wanted)
        texts.push_back({text, id});
    std::shuffle(texts.begin(), texts.end(), random);
    const auto trie = TextTrie::build(texts);
    ASSERT_TRUE(trie) << trie.error().message;
    const auto find = [&](std::string_view text) {
        uint32_t node = TextTrie::kRoot;
        for (const char byte : text) {
            node = trie->child(node, byte);
            if (node == TextTrie::kNone) return -1;
        }
        return trie->id(node);
    };
    for (const auto& [text, id] : wanted) {
        EXPECT_EQ(find(text), id);
        const std::string longer = text + "a";
        EXPECT_EQ(find(longer), wanted.contains(longer) ? wanted[longer] : -1);
    }
}

TEST(TextTrie, AnEmptyOneHoldsNothing) {
    const auto trie = TextTrie::build({});
    ASSERT_TRUE(trie);
    EXPECT_EQ(trie->child(TextTrie::kRoot, 'a'), TextTrie::kNone);
    EXPECT_EQ(trie->id(TextTrie::kRoot), -1);
}

TEST(TextTrie, RefusesLongTexts) {
    const std::string text(kTrieTextBytesMax + 1, 'x');
    const auto trie = TextTrie::build({{text, 7}});
    ASSERT_FALSE(trie);
    EXPECT_NE(trie.error().message.find("token 7 has 1025 bytes"), std::string::npos)
        << trie.error().message;
}

}  // namespace
}  // namespace tenon::tokenizer
