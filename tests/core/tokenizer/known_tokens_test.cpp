#include "core/tokenizer/known_tokens.h"

#include "tests/core/tokenizer/piece_vocabulary.h"
#include "tests/core/tokenizer/tiny_vocabulary.h"

namespace tenon::tokenizer {
namespace {

TEST(KnownTokens, AreFoundByTheirTexts) {
    TinyVocabulary tiny;
    const int32_t prefix = tiny.add("<|fim_prefix|>", TokenType::kNormal);
    const int32_t suffix = tiny.add("<\uFF5Cfim\u2581hole\uFF5C>", TokenType::kUserDefined);
    const int32_t middle = tiny.add("<fim_middle>", TokenType::kControl);
    const int32_t pad = tiny.add("<|fim_pad|>", TokenType::kControl);
    const int32_t call = tiny.add("<tool_call>", TokenType::kUserDefined);
    const int32_t result_end = tiny.add("[/TOOL_RESULTS]", TokenType::kControl);
    const int32_t turn = tiny.add("<|im_end|>", TokenType::kControl);
    const int32_t message = tiny.add("<|eom_id|>", TokenType::kControl);
    const auto t = Tokenizer::create(tiny.vocabulary);
    ASSERT_TRUE(t) << t.error().message;
    EXPECT_EQ(t->known().fim_prefix, prefix);
    EXPECT_EQ(t->known().fim_suffix, suffix);
    EXPECT_EQ(t->known().fim_middle, middle);
    EXPECT_EQ(t->known().fim_pad, pad);
    EXPECT_FALSE(t->known().fim_repo.has_value());
    EXPECT_EQ(t->known().tool_calls_begin, call);
    EXPECT_FALSE(t->known().tool_calls_end.has_value());
    EXPECT_EQ(t->known().tool_results_end, result_end);
    EXPECT_EQ(t->known().end_of_turn, turn);
    EXPECT_EQ(t->known().end_of_message, message);
    EXPECT_EQ(t->eog(), (std::vector<int32_t>{pad, turn, message}));
    // They steer the model whatever the file says; what opens a tool call is text that is taken whole.
    EXPECT_TRUE(t->is_special(prefix) && t->is_special(suffix));
    EXPECT_FALSE(t->is_special(call));
    EXPECT_EQ(plain_ids(*t, "<|fim_prefix|>").size(), 14u);
}

TEST(KnownTokens, KeysGoBeforeTexts) {
    TinyVocabulary tiny;
    const int32_t named = tiny.add("<gap>", TokenType::kControl);
    const int32_t text = tiny.add("<|fim_middle|>", TokenType::kUserDefined);
    tiny.vocabulary.fim_middle = named;
    tiny.vocabulary.fim_separator = named;
    const auto t = Tokenizer::create(tiny.vocabulary);
    ASSERT_TRUE(t) << t.error().message;
    EXPECT_EQ(t->known().fim_middle, named);
    EXPECT_FALSE(t->is_special(text));
    EXPECT_TRUE(t->is_eog(named));  // a line between files ends an answer
}

TEST(KnownTokens, SomeFamiliesUseATextForSomethingElse) {
    TinyVocabulary tiny;
    const int32_t end = tiny.add("<|end|>", TokenType::kControl);
    const int32_t finish = tiny.add("<|return|>", TokenType::kControl);
    const int32_t shown = tiny.add("<|channel|>", TokenType::kControl);
    {
        const auto t = Tokenizer::create(tiny.vocabulary);
        ASSERT_TRUE(t);
        EXPECT_TRUE(t->is_eog(end) && t->is_eog(finish));
        EXPECT_FALSE(t->is_special(shown));
    }
    const int32_t call = tiny.add("<|call|>", TokenType::kControl);
    const auto t = Tokenizer::create(tiny.vocabulary);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->eog(), (std::vector<int32_t>{finish, call}));
    EXPECT_FALSE(t->is_special(end));
}

}  // namespace
}  // namespace tenon::tokenizer
