#include "core/cli/answer_options.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

std::string refusal(std::string_view name, std::string_view text) {
    AnswerOptions options;
    const Status status = set_answer_option(options, name, text);
    EXPECT_EQ(list_answer_options(options).at(1).value, "0.7");
    return status.ok() ? "" : status.error().message;
}

TEST(AnswerOptions, SetsEachByItsName) {
    AnswerOptions options;
    for (const auto& [name, value] : {std::pair{"max_tokens", "12"},
                                      {"temperature", "0"},
                                      {"top_k", "5"},
                                      {"top_p", "0.5"},
                                      {"min_p", "0.25"},
                                      {"seed", "18446744073709551615"},
                                      {"stop", "END"},
                                      {"repetition_penalty", "1.5"},
                                      {"frequency_penalty", "-1"},
                                      {"presence_penalty", "2"}}) {
        const Status status = set_answer_option(options, name, value);
        EXPECT_TRUE(status.ok()) << name << ": " << status.error().message;
    }
    EXPECT_EQ(options.max_tokens, 12u);
    EXPECT_EQ(options.sampling.top_k, 5);
    EXPECT_EQ(options.sampling.seed, UINT64_MAX);
    EXPECT_EQ(options.stop, std::vector<std::string>{"END"});
    for (const AnswerSetting& setting : list_answer_options(options)) {
        AnswerOptions again;
        EXPECT_TRUE(set_answer_option(again, setting.name, setting.value).ok()) << setting.name;
    }
    ASSERT_TRUE(set_answer_option(options, "stop", "").ok());
    EXPECT_TRUE(options.stop.empty());
}

TEST(AnswerOptions, SaysWhatIsWrong) {
    EXPECT_EQ(refusal("temprature", "1"),
              "'temprature' is not an option; did you mean 'temperature'?");
    EXPECT_NE(refusal("zzz", "1").find("known are: max_tokens, temperature"), std::string::npos);
    EXPECT_EQ(refusal("temperature", "hot"), "temperature: expected a number, got 'hot'");
    EXPECT_EQ(refusal("temperature", "9"), "temperature is 9; expected 0 to 2 (0 is greedy)");
    EXPECT_EQ(refusal("max_tokens", "-1"), "max_tokens: expected a whole number, got '-1'");
    EXPECT_EQ(refusal("max_tokens", ""), "max_tokens: expected a whole number, got ''");
    EXPECT_EQ(refusal("top_k", "1.5"), "top_k: expected a whole number, got '1.5'");
    EXPECT_NE(refusal("top_p", "nan"), "");
}

}  // namespace
}  // namespace tenon::cli
