#include "core/tokenizer/pretokenizer.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

using Words = std::vector<std::string>;

Words split(const Pretokenizer& rules, std::string_view text) {
    auto splitter = Splitter::create(rules);
    EXPECT_TRUE(splitter);
    std::vector<size_t> ends;
    const Status status = splitter->split(text, ends);
    EXPECT_TRUE(status) << status.error().message;
    Words words;
    size_t begin = 0;
    for (size_t end : ends) {
        words.emplace_back(text.substr(begin, end - begin));
        begin = end;
    }
    EXPECT_EQ(begin, text.size());
    return words;
}

Words split(std::string_view pre, std::string_view text) {
    const auto rules = Pretokenizer::create(pre, true);
    EXPECT_TRUE(rules);
    return split(*rules, text);
}

struct Row {
    const char* pre;
    const char* text;
    Words words;
};

// Expected words follow from the rules as written down in the models' tokenizer files.
const Row kRows[] = {
    {"gpt-2", "Hello  world's 123", {"Hello", " ", " world", "'s", " 123"}},
    {"gpt-2", "tail  \n ", {"tail", "  \n "}},
    {"gpt-2", "We'RE", {"We", "'", "RE"}},
    {"gpt-2", "a!= b\tc", {"a", "!=", " b", "\t", "c"}},
    {"gpt-2", "½ ٣x", {"½", " ٣", "x"}},
    {"gpt-2", "a\u3000b", {"a", "\u3000", "b"}},
    {"gpt-2", "a\u180eb", {"a", "\u180e", "b"}},  // U+180E is no white space ...
    {"gpt-2", " \u180e", {" \u180e"}},            // ... so the space joins it
    {"smollm", "a  12 b", {"a", "  ", "1", "2", " b"}},
    {"smollm", "x 4", {"x", " ", "4"}},
    {"smollm", "v4's", {"v", "4", "'s"}},
    {"llama-bpe", "We'RE 12345\n\n x", {"We", "'RE", " ", "123", "45", "\n\n", " x"}},
    {"llama-bpe", "'\u017f", {"'\u017f"}},  // the long s is no s, just a letter
    {"llama-bpe", "(foo).\r\nbar", {"(foo", ").\r\n", "bar"}},
    {"llama-bpe", "a   b\t \n  c", {"a", "  ", " b", "\t \n", " ", " c"}},
    {"default", "a,b 12345", {"a", ",", "b", " ", "123", "45"}},
    {"falcon", "a`b 12345", {"a", "`", "b", " ", "123", "45"}},
    {"qwen2", "We'RE 123\n\n x", {"We", "'RE", " ", "1", "2", "3", "\n\n", " x"}},
    {"deepseek-r1-qwen", "(foo).\r\n12", {"(foo", ").\r\n", "1", "2"}},
    {"qwen35", "n\u0303o \u0301", {"n\u0303o", " \u0301"}},  // marks belong to letters
    {"qwen2", "n\u0303o", {"n", "\u0303o"}},
    {"deepseek-llm", "Hi  \u4e16\u754c12\n", {"Hi", "  ", "\u4e16\u754c", "12", "\n"}},
    {"deepseek-llm", "a.b! 12  ", {"a", ".", "b", "!", " ", "12", "  "}},
    {"deepseek-llm", "\u0560", {"\u0560"}},  // a cased letter that the list does not have
    {"deepseek-llm", "x\u0560", {"x", "\u0560"}},
    {"deepseek-coder", "x= 12\r\n", {"x", "= ", "1", "2", "\r", "\n"}},
    {"deepseek-v3", "a 1234\u3042\u4e16!ok", {"a", " ", "123", "4", "\u3042\u4e16", "!ok"}},
    {"deepseek-v3", "x=1;\n\n y", {"x", "=", "1", ";\n\n", " y"}},
    {"tekken", "HelloWORLD fooBar12/", {"Hello", "WORLD", " foo", "Bar", "1", "2", "/"}},
    {"gpt-4o", "fooBar's 1234", {"foo", "Bar's", " ", "123", "4"}},
};

TEST(Pretokenizer, SplitsByTheRules) {
    for (const Row& row : kRows)
        EXPECT_EQ(split(row.pre, row.text), row.words) << row.pre << ": " << row.text;
}

TEST(Pretokenizer, RefusesUnknownRulesAndNamesTheKnown) {
    const auto rules = Pretokenizer::create("klingon", true);
    ASSERT_FALSE(rules);
    EXPECT_EQ(rules.error().code, Code::kUnsupported);
    EXPECT_NE(rules.error().message.find("'klingon'; known rules are smollm, starcoder, "),
              std::string::npos)
        << rules.error().message;
}

TEST(Pretokenizer, TheInterpreterSplitsAsTheCompiledRulesDo) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Words palette = {"a",
                           "B",
                           "'",
                           "s",
                           "re",
                           "LL",
                           " ",
                           "  ",
                           "\n",
                           "\r\n",
                           "\t",
                           "1",
                           "23",
                           "½",
                           "é",
                           "世",
                           ".",
                           "!",
                           "$",
                           "\u00a0",
                           "\u2028",
                           "\U0001F600",
                           std::string(1, '\0')};
    for (const char* pre :
         {"gpt-2", "smollm", "llama-bpe", "default", "qwen2", "qwen35", "deepseek-llm",
          "deepseek-coder", "deepseek-v3", "tekken", "gpt-4o", "falcon"}) {
        const auto compiled = Pretokenizer::create(pre, true);
        const auto interpreted = Pretokenizer::create(pre, false);
        ASSERT_TRUE(compiled && interpreted);
        EXPECT_FALSE(interpreted->uses_jit());
        for (int i = 0; i < 2000; ++i) {
            std::string text;
            for (uint32_t n = random() % 20; n > 0; --n)
                text += palette[random() % palette.size()];
            ASSERT_EQ(split(*compiled, text), split(*interpreted, text)) << text;
        }
    }
}

TEST(Pretokenizer, LongRunsAreSplitWithAndWithoutCompiledRules) {
    for (const bool jit : {true, false})
        for (const char* pre : {"llama-bpe", "deepseek-llm", "deepseek-v3", "gpt-4o"}) {
            const auto rules = Pretokenizer::create(pre, jit);
            ASSERT_TRUE(rules);
            for (const char* unit : {" ", "a", "!", "\n", "\u2003", "é"}) {
                std::string run;
                while (run.size() < 200'000)
                    run += unit;
                EXPECT_FALSE(split(*rules, run + "x").empty());
            }
        }
}

}  // namespace
}  // namespace tenon::tokenizer
