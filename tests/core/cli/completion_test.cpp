#include "core/cli/completion.h"

#include <gtest/gtest.h>

#include "core/cli/arguments.h"
#include "core/cli/manual_page.h"

namespace tenon::cli {
namespace {

int try_it(int argc, char** argv) {
    std::string model, mode, file;
    bool json = false;
    Arguments arguments("try", "Tries; it's [good]: yes.");
    arguments.positional("MODEL", model, "a file");
    arguments.option("-m,--mode", mode, "it's how", "MODE").one_of({"fast", "slow"});
    arguments.option("--file", file, "a [file]", "FILE");
    arguments.flag("--json", json, "as JSON");
    arguments.sub_verb("again", "once more");
    arguments.example("tenon try m -m fast");
    const auto code = arguments.parse(argc, argv);
    return code ? *code : 77;
}

OptionTable table() {
    OptionTable described = describe(try_it, {"try"});
    described.brief = "it tries";
    return described;
}

TEST(Describe, GivesTheTableWithoutRunning) {
    const OptionTable described = table();
    EXPECT_EQ(described.verb, "try");
    ASSERT_EQ(described.rows.size(), 4u);
    EXPECT_TRUE(described.rows[0].is_positional && described.rows[0].is_required);
    EXPECT_EQ(described.rows[1].names, (std::vector<std::string>{"-m", "--mode"}));
    EXPECT_EQ(described.rows[1].choices, (std::vector<std::string>{"fast", "slow"}));
    ASSERT_EQ(described.sub_verbs.size(), 1u);
    // And afterwards verbs run again.
    char verb[] = "try", model[] = "m";
    char* words[] = {verb, model, nullptr};
    EXPECT_EQ(try_it(2, words), 77);
}

TEST(Describe, AChoiceIsChecked) {
    char verb[] = "try", model[] = "m", flag[] = "--mode", value[] = "fats";
    char* words[] = {verb, model, flag, value, nullptr};
    testing::internal::CaptureStderr();
    EXPECT_EQ(try_it(4, words), kExitUsage);
    EXPECT_EQ(testing::internal::GetCapturedStderr(),
              "tenon try: --mode: expected one of fast, slow, got 'fats'; did you mean 'fast'?\n"
              "Try 'tenon try --help'.\n");
}

TEST(Completion, KnowsWhatAValueIs) {
    const OptionTable described = table();
    EXPECT_EQ(completes(described.rows[0]), Completes::kModels);
    EXPECT_EQ(completes(described.rows[1]), Completes::kChoices);
    EXPECT_EQ(completes(described.rows[2]), Completes::kFiles);
}

TEST(Completion, EachShellGetsEveryOption) {
    const std::vector<OptionTable> tables = {table()};
    for (const std::string& script :
         {bash_completion(tables), zsh_completion(tables), fish_completion(tables)}) {
        for (const char* word : {"mode", "file", "json", "fast", "again", "try", "help"})
            EXPECT_NE(script.find(word), std::string::npos) << word << "\n" << script;
    }
    // Texts with quotes, brackets and colons are quoted for the shell that reads them.
    EXPECT_NE(zsh_completion(tables).find("it'\\''s how"), std::string::npos);
    EXPECT_NE(zsh_completion(tables).find("a \\[file\\]"), std::string::npos);
    EXPECT_NE(fish_completion(tables).find("it'\\''s how"), std::string::npos);
}

TEST(ManualPage, EscapesWhatRoffReads) {
    OptionTable described = table();
    described.summary = ".dotted\n'quoted \\ -x";
    const std::string page = manual_page(described, "1.2");
    EXPECT_NE(page.find(".TH TENON-TRY 1 \"\" \"tenon 1.2\""), std::string::npos);
    EXPECT_NE(page.find("\n\\&.dotted\n\\&'quoted \\e \\-x\n"), std::string::npos);
    EXPECT_NE(page.find("\\fB\\-m\\fR, \\fB\\-\\-mode\\fR \\fIMODE\\fR"), std::string::npos);
    EXPECT_NE(page.find("One of fast, slow."), std::string::npos);
    described.verb = "bench serve";
    EXPECT_EQ(page_name(described), "tenon-bench-serve");
    EXPECT_NE(manual_overview({table()}, "1.2").find("tenon\\-try"), std::string::npos);
}

}  // namespace
}  // namespace tenon::cli
