#include "core/cli/line_completion.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace tenon::cli {
namespace {

const std::vector<std::string> kCommands = {"help", "set", "save", "system", "load"};
const std::vector<std::string> kOptions = {"top_k", "top_p", "temperature"};

Completion complete(std::string_view before) { return complete_line(before, kCommands, kOptions); }

TEST(LineCompletion, Commands) {
    EXPECT_EQ(complete("/he").addition(), "lp ");
    EXPECT_EQ(complete("/s").words, (std::vector<std::string>{"save", "set", "system"}));
    EXPECT_EQ(complete("/s").addition(), "");
    EXPECT_EQ(complete("/help").addition(), " ");
    EXPECT_EQ(complete("/x").words.size(), 0u);
    EXPECT_EQ(complete("/x").addition(), "");
    EXPECT_EQ(complete("/").words.size(), kCommands.size());
}

TEST(LineCompletion, Options) {
    EXPECT_EQ(complete("/set to").addition(), "p_");
    EXPECT_EQ(complete("/set  te").addition(), "mperature ");
    EXPECT_EQ(complete("/set top_k 1").words.size(), 0u);
}

TEST(LineCompletion, NothingElse) {
    for (const char* line : {"", "hello", "say /he", "/system to", "/help te"}) {
        EXPECT_TRUE(complete(line).words.empty()) << line;
        EXPECT_EQ(complete(line).addition(), "") << line;
    }
}

TEST(LineCompletion, WholeCharacters) {
    // e acute and e grave differ in their second byte.
    const std::vector<std::string> words = {"caf\xc3\xa9", "caf\xc3\xa8"};
    EXPECT_EQ(complete_word("c", words).addition(), "af");
}

TEST(LineCompletion, Files) {
    const std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / "line_completion_test";
    std::filesystem::remove_all(folder);
    std::filesystem::create_directories(folder / "talks");
    for (const char* name : {"talk one.json", ".talk", "other"})
        std::ofstream(folder / name) << "x";
    const std::string place = folder.string() + "/";
    EXPECT_EQ(complete("/load " + place + "ta").addition(), "lk");
    EXPECT_EQ(complete("/load " + place + "talk").words,
              (std::vector<std::string>{place + "talk one.json", place + "talks/"}));
    EXPECT_EQ(complete("/save " + place + "talk o").addition(), "ne.json ");
    EXPECT_EQ(complete("/load " + place + "talks").addition(), "/");
    EXPECT_EQ(complete("/load " + place + ".t").addition(), "alk ");
    EXPECT_TRUE(complete("/load " + place + "absent/x").words.empty());
    std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace tenon::cli
