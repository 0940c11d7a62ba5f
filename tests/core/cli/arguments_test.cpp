#include "core/cli/arguments.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace tenon::cli {
namespace {

// A verb with one option of each kind.
struct Example {
    Example() : arguments("try", "Tries.") {
        arguments.positional("MODEL", model, "a file");
        arguments.option("-n,--count", count, "how many");
        arguments.option("--seed", seed, "of the dice");
        arguments.option("--temp", temperature, "how hot");
        arguments.option("-s,--say", say, "a text");
        arguments.option("--stop", stops, "may be repeated");
        arguments.flag("--json", json, "as JSON");
        arguments.positional("PROMPT", prompt, "a text", false);
        arguments.example("tenon try m");
    }

    std::optional<int> parse(std::vector<std::string> words) {
        words.insert(words.begin(), "try");
        std::vector<char*> pointers;
        for (std::string& word : words)
            pointers.push_back(word.data());
        pointers.push_back(nullptr);
        testing::internal::CaptureStderr();
        testing::internal::CaptureStdout();
        const auto code = arguments.parse(static_cast<int>(words.size()), pointers.data());
        std::fflush(stdout);
        std::fflush(stderr);
        out = testing::internal::GetCapturedStdout();
        err = testing::internal::GetCapturedStderr();
        return code;
    }

    Arguments arguments;
    std::string model, prompt, say;
    uint32_t count = 7;
    uint64_t seed = 0;
    float temperature = 0.5f;
    std::vector<std::string> stops;
    bool json = false;
    std::string out, err;
};

// What a mistake says, without the program's name and the pointer to the help.
std::string mistake(const std::vector<std::string>& words) {
    Example example;
    const std::optional<int> code = example.parse(words);
    EXPECT_EQ(code, kExitUsage);
    EXPECT_EQ(example.out, "");
    const std::string head = "tenon try: ", tail = "\nTry 'tenon try --help'.\n";
    EXPECT_EQ(example.err.substr(0, head.size()), head);
    if (example.err.size() < head.size() + tail.size()) return example.err;
    EXPECT_EQ(example.err.substr(example.err.size() - tail.size()), tail);
    return example.err.substr(head.size(), example.err.size() - head.size() - tail.size());
}

TEST(Arguments, FillsWhatIsGivenAndKeepsDefaults) {
    Example example;
    EXPECT_EQ(example.parse({"m", "-n", "3", "--stop", "a", "--stop=b", "--json", "hello"}),
              std::nullopt);
    EXPECT_EQ(example.model, "m");
    EXPECT_EQ(example.prompt, "hello");
    EXPECT_EQ(example.count, 3u);
    EXPECT_EQ(example.stops, (std::vector<std::string>{"a", "b"}));
    EXPECT_TRUE(example.json);
    EXPECT_EQ(example.temperature, 0.5f);
    EXPECT_TRUE(example.arguments.given("count"));
    EXPECT_TRUE(example.arguments.given("PROMPT"));
    EXPECT_FALSE(example.arguments.given("seed"));
    EXPECT_EQ(example.err, "");
}

TEST(Arguments, AnEmptyTextIsGiven) {
    Example example;
    EXPECT_EQ(example.parse({"m", ""}), std::nullopt);
    EXPECT_TRUE(example.arguments.given("PROMPT"));
    Example without;
    EXPECT_EQ(without.parse({"m"}), std::nullopt);
    EXPECT_FALSE(without.arguments.given("PROMPT"));
}

TEST(Arguments, AValueOrWhatStandsBehindTwoDashesMayLookLikeAnOption) {
    Example value;
    EXPECT_EQ(value.parse({"m", "--stop", "--nonsense", "-s", "--json"}), std::nullopt);
    EXPECT_EQ(value.stops, std::vector<std::string>{"--nonsense"});
    EXPECT_EQ(value.say, "--json");
    EXPECT_FALSE(value.json);
    Example behind;
    EXPECT_EQ(behind.parse({"m", "--", "--nonsense"}), std::nullopt);
    EXPECT_EQ(behind.prompt, "--nonsense");
}

TEST(Arguments, TakesTheLargestNumbers) {
    Example example;
    EXPECT_EQ(example.parse(
                  {"m", "-n", "4294967295", "--seed", "18446744073709551615", "--temp", "1e-3"}),
              std::nullopt);
    EXPECT_EQ(example.count, UINT32_MAX);
    EXPECT_EQ(example.seed, UINT64_MAX);
    EXPECT_FLOAT_EQ(example.temperature, 1e-3f);
}

TEST(Arguments, SaysWhatWasSeenAndWanted) {
    EXPECT_EQ(mistake({}), "MODEL is missing");
    EXPECT_EQ(mistake({"m", "p", "q"}), "unexpected argument 'q'");
    EXPECT_EQ(mistake({"m", "--conut", "3"}), "unknown option '--conut'; did you mean '--count'?");
    EXPECT_EQ(mistake({"m", "--conut=3"}), "unknown option '--conut'; did you mean '--count'?");
    EXPECT_EQ(mistake({"m", "--xyzzy"}), "unknown option '--xyzzy'");
    EXPECT_EQ(mistake({"m", "-q"}), "unknown option '-q'");
    EXPECT_EQ(mistake({"m", "-n"}), "--count: a value is missing");
    EXPECT_EQ(mistake({"m", "-n", "1", "-n", "2"}), "--count: expected once, got several");
    for (const char* wrong : {"x", "", "-1", "1.5", "4294967296", "010", "1 ", "0x10"}) {
        EXPECT_EQ(mistake({"m", "-n", wrong}),
                  std::string("--count: expected a whole number from 0 to 4294967295, got '") +
                      wrong + "'");
    }
    EXPECT_EQ(mistake({"m", "--seed", "18446744073709551616"}),
              "--seed: expected a whole number from 0 to 18446744073709551615, got "
              "'18446744073709551616'");
    EXPECT_EQ(mistake({"m", "--temp", "hot"}), "--temp: expected a number, got 'hot'");
}

TEST(Arguments, HelpNamesPositionalsFirstAndDefaults) {
    Example example;
    EXPECT_EQ(example.parse({"--help"}), kExitOk);
    EXPECT_EQ(example.err, "");
    EXPECT_EQ(example.out, example.arguments.help());
    EXPECT_EQ(example.out,
              "usage: tenon try MODEL [PROMPT] [options]\n"
              "\n"
              "Tries.\n"
              "\n"
              "  MODEL          a file\n"
              "  [PROMPT]       a text\n"
              "  -n,--count N   how many [7]\n"
              "  --seed N       of the dice [0]\n"
              "  --temp X       how hot [0.5]\n"
              "  -s,--say TEXT  a text\n"
              "  --stop TEXT    may be repeated\n"
              "  --json         as JSON\n"
              "\n"
              "examples:\n"
              "  tenon try m\n");
}

}  // namespace
}  // namespace tenon::cli
