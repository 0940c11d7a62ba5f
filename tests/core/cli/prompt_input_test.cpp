#include "core/cli/prompt_input.h"

#include <gtest/gtest.h>

#include <vector>

namespace tenon::cli {
namespace {

// Prompts that come out of these lines.
std::vector<std::string> prompts(const std::vector<std::string>& lines) {
    PromptInput input;
    std::vector<std::string> out;
    for (const std::string& line : lines) {
        if (const auto text = input.take(line)) out.push_back(*text);
    }
    return out;
}

using Texts = std::vector<std::string>;

TEST(PromptInput, ALineIsAPrompt) {
    EXPECT_EQ(prompts({"one", "", "two"}), (Texts{"one", "", "two"}));
}

TEST(PromptInput, QuotesHoldSeveralLines) {
    EXPECT_EQ(prompts({"\"\"\"a", "b", "c\"\"\"", "d"}), (Texts{"a\nb\nc", "d"}));
    EXPECT_EQ(prompts({"\"\"\"", "a", "", "b", "\"\"\""}), (Texts{"a\n\nb\n"}));
    EXPECT_EQ(prompts({"\"\"\"whole\"\"\""}), Texts{"whole"});
    EXPECT_EQ(prompts({"\"\"\"a\\", "b\"\"\""}), Texts{"a\\\nb"});
    EXPECT_EQ(prompts({"say \"\"\" now"}), Texts{"say \"\"\" now"});
}

TEST(PromptInput, ABackslashGoesOn) {
    EXPECT_EQ(prompts({"a\\", "b\\", "c", "d"}), (Texts{"a\nb\nc", "d"}));
    EXPECT_EQ(prompts({"a\\", ""}), Texts{"a\n"});
}

TEST(PromptInput, KnowsWhetherItWaitsAndForgets) {
    PromptInput input;
    EXPECT_FALSE(input.is_open());
    EXPECT_FALSE(input.take("\"\"\"a").has_value());
    EXPECT_TRUE(input.is_open());
    input.reset();
    EXPECT_FALSE(input.is_open());
    EXPECT_EQ(input.take("b"), "b");
}

TEST(FindCommand, TellsCommandsFromTexts) {
    const auto set = find_command("  /set  top_p  0.9 ");
    ASSERT_TRUE(set.has_value());
    EXPECT_EQ(set->name, "set");
    EXPECT_EQ(set->rest, "top_p  0.9");
    EXPECT_EQ(find_command("/help")->name, "help");
    EXPECT_EQ(find_command("/help")->rest, "");
    for (const char* text :
         {"", "/", "hello", "/etc/passwd is a file", "a /help", "/ help", "/Help"})
        EXPECT_FALSE(find_command(text).has_value()) << text;
}

}  // namespace
}  // namespace tenon::cli
