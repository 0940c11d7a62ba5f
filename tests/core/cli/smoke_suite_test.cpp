#include "core/cli/smoke_suite.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

// Every mistake of a suite as "line:column: sentence".
std::vector<std::string> mistakes(std::string_view text) {
    SmokeSuite suite;
    std::vector<std::string> found;
    for (const config::Mistake& mistake : parse_suite(text, "s", suite)) {
        found.push_back(std::to_string(mistake.line) + ":" + std::to_string(mistake.column) + ": " +
                        mistake.sentence);
    }
    return found;
}

using Texts = std::vector<std::string>;

TEST(SmokeSuite, ReadsCases) {
    SmokeSuite suite;
    const auto wrong = parse_suite(R"(name: first
model: m
backends: [cpu, "null"]
near_tie: 0.2
options: {max_tokens: 7, stop: [a, b]}
cases:
  - name: one
    prompt: hello
    raw: true
    expect: {tokens: [1, 2], finish: stop}
  - prompt: hi
    system: be brief
    max_tokens: 9
    temperature: 0.5
    expect:
      contains: [x, y]
      regex: "^a+$"
  - messages: [{role: user, content: "a\nb"}]
)",
                                   "s", suite);
    ASSERT_TRUE(wrong.empty()) << wrong.front().sentence;
    EXPECT_EQ(suite.name, "first");
    EXPECT_EQ(suite.backends, (Texts{"cpu", "null"}));
    EXPECT_EQ(suite.near_tie, 0.2);
    ASSERT_EQ(suite.cases.size(), 3u);
    EXPECT_TRUE(suite.cases[0].is_raw);
    EXPECT_EQ(suite.cases[0].options.max_tokens, 7u);
    EXPECT_EQ(suite.cases[0].options.sampling.temperature, 0);
    EXPECT_EQ(suite.cases[0].options.stop, (Texts{"a", "b"}));
    EXPECT_EQ(suite.cases[0].expect.tokens, (std::vector<int32_t>{1, 2}));
    EXPECT_EQ(suite.cases[1].name, "case 2");
    ASSERT_EQ(suite.cases[1].messages.size(), 2u);
    EXPECT_EQ(suite.cases[1].messages[0].role, "system");
    EXPECT_EQ(suite.cases[1].options.max_tokens, 9u);
    EXPECT_EQ(suite.cases[1].expect.contains, (Texts{"x", "y"}));
    EXPECT_EQ(suite.cases[1].line, 11u);
    EXPECT_EQ(suite.cases[2].messages[0].content, "a\nb");
    EXPECT_TRUE(suite.cases[2].expect.asks_nothing());
}

TEST(SmokeSuite, ListsEveryMistakeAtItsPlace) {
    EXPECT_EQ(mistakes(R"(nmae: x
near_tie: wide
cases:
  - prompt: a
    max_token: 3
    expect: {tokens: [x], regex: "("}
  - prompt: b
    messages: [{role: robot, content: c}]
    temperature: 5
  - 3
)"),
              (Texts{"1:1: 'nmae' is not an option; did you mean 'name'?",
                     "2:11: expected a number from 0 to 100, got 'wide'",
                     "5:5: 'max_token' is not an option; did you mean 'max_tokens'?",
                     "6:23: expected a token id, got 'x'",
                     "6:34: regex: missing closing parenthesis at byte 1 of '('",
                     "8:16: role: expected system, user or assistant, got 'robot'",
                     "9:18: temperature is 5; expected 0 to 2 (0 is greedy)",
                     "7:5: expected either a prompt or messages",
                     "10:5: expected a case: a map with a prompt"}));
}

TEST(SmokeSuite, WantsCasesWithNamesOfTheirOwn) {
    EXPECT_EQ(mistakes("name: x\n"), Texts{"1:1: cases: expected a list of cases"});
    EXPECT_EQ(mistakes("- a\n"), Texts{"1:1: expected a map with a list of cases"});
    EXPECT_EQ(mistakes("cases: []\n"), Texts{"1:8: cases: expected a list of cases"});
    EXPECT_EQ(mistakes("cases: [{name: a, prompt: b}, {name: a, prompt: c}]\n"),
              Texts{"1:31: name: 'a' is the name of an earlier case"});
    EXPECT_EQ(mistakes("cases: [{prompt: b, temperature: 1, expect: {tokens: [1]}}]\n"),
              Texts{"1:9: tokens: only a temperature of 0 gives the same ones each time"});
    EXPECT_EQ(mistakes("cases: [{prompt: b, raw: true, system: c}]\n"),
              Texts{"1:9: raw: a prompt alone is taken as it is, without messages or system"});
    ASSERT_EQ(mistakes("cases: [").size(), 1u);
}

}  // namespace
}  // namespace tenon::cli
