#include "core/cli/smoke_report.h"

#include <gtest/gtest.h>

namespace tenon::cli {
namespace {

std::vector<engine::OutputToken> drawn(const std::vector<std::pair<int32_t, float>>& margins) {
    std::vector<engine::OutputToken> tokens;
    for (const auto& [id, margin] : margins) {
        engine::OutputToken& token = tokens.emplace_back();
        token.token = id;
        token.top = {{id, -0.5f}, {id + 1, -0.5f - margin}};
    }
    return tokens;
}

TEST(Agree, ANearTieExcusesWhatComesBehindIt) {
    const GreedyTokens seen = greedy_tokens(drawn({{1, 3.0f}, {2, 0.05f}, {9, 4.0f}}));
    std::string note;
    EXPECT_TRUE(agree(seen, {{1, 2, 9}, {}}, 0.1, note));
    EXPECT_EQ(note, "");
    EXPECT_TRUE(agree(seen, {{1, 2}, {}}, 0.1, note));
    EXPECT_TRUE(agree(seen, {{1, 7, 7, 7, 7}, {}}, 0.1, note));
    EXPECT_EQ(note, "near-tie at token 1: margin 0.0500, 2 for 7");
    note.clear();
    EXPECT_FALSE(agree(seen, {{1, 7}, {}}, 0.01, note));
    EXPECT_EQ(note, "tokens: wanted 7 at place 1, got 2 with a margin of 0.0500");
    EXPECT_FALSE(agree(seen, {{5}, {}}, 0.1, note));
    EXPECT_FALSE(agree(seen, {{1, 2, 9, 4}, {}}, 0.1, note));
    EXPECT_EQ(note, "tokens: wanted 4 at place 3, got the end");
}

TEST(Agree, TheOtherSidesNearTieCountsToo) {
    const GreedyTokens seen = greedy_tokens(drawn({{1, 3.0f}, {2, 3.0f}}));
    const GreedyTokens wanted = greedy_tokens(drawn({{1, 3.0f}, {4, 0.02f}}));
    std::string note;
    EXPECT_TRUE(agree(seen, wanted, 0.1, note));
    EXPECT_NE(note.find("margin 0.0200"), std::string::npos);
}

SmokeResult judged(const SmokeExpectation& expect, const std::string& text,
                   engine::FinishReason finish = engine::FinishReason::kStop) {
    SmokeCase one;
    one.expect = expect;
    SmokeResult result;
    judge(one, 0.1, text, drawn({{1, 1.0f}, {2, 1.0f}}), finish, result);
    return result;
}

TEST(Judge, HoldsAnAnswerAgainstEachExpectation) {
    EXPECT_EQ(judged({}, "x").verdict, Verdict::kPassed);
    EXPECT_EQ(judged({.text = "Paris."}, " Paris.\n").verdict, Verdict::kPassed);
    EXPECT_EQ(judged({.text = "Paris"}, "Rome").note, "text: wanted \"Paris\", got \"Rome\"");
    EXPECT_EQ(judged({.contains = {"a", "b"}}, "abc").verdict, Verdict::kPassed);
    EXPECT_EQ(judged({.contains = {"a", "z"}}, "abc").note, "contains: wanted \"z\" in \"abc\"");
    EXPECT_EQ(judged({.regex = "^\\d+$"}, "123").verdict, Verdict::kPassed);
    EXPECT_EQ(judged({.regex = "^\\d+$"}, "12x").verdict, Verdict::kFailed);
    EXPECT_EQ(judged({.regex = "^(a+)+$"}, std::string(60, 'a') + "b").verdict, Verdict::kFailed);
    EXPECT_EQ(judged({.finish = "length"}, "x").note, "finish: wanted length, got stop");
    EXPECT_EQ(judged({.tokens = {1, 2}}, "x").verdict, Verdict::kPassed);
    EXPECT_EQ(judged({.tokens = {1, 3}}, "x").verdict, Verdict::kFailed);
}

SmokeReport sample() {
    SmokeReport report;
    report.suite = "a<b>";
    report.model = "m.gguf";
    SmokeResult good{"one", "cpu", Verdict::kPassed, "", "hi", {1, 2}, 0.25};
    SmokeResult bad{
        "two & \"three\"", "cpu", Verdict::kFailed, "wanted <x>", "a\x01]]>\xff\n", {3}, 0.5};
    SmokeResult none{"one", "gpu", Verdict::kError, "no device", "", {}, 0};
    report.results = {good, bad, none};
    return report;
}

TEST(SmokeReport, JUnitIsXmlWhateverTheTexts) {
    EXPECT_EQ(sample().to_junit(),
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
              "<testsuites name=\"a&lt;b&gt;\" tests=\"3\" failures=\"1\" errors=\"1\">\n"
              "  <testsuite name=\"a&lt;b&gt;.cpu\" tests=\"2\" failures=\"1\" errors=\"0\" "
              "time=\"0.750\">\n"
              "    <testcase classname=\"a&lt;b&gt;.cpu\" name=\"one\" time=\"0.250\"/>\n"
              "    <testcase classname=\"a&lt;b&gt;.cpu\" name=\"two &amp; &quot;three&quot;\" "
              "time=\"0.500\">\n"
              "      <failure message=\"wanted &lt;x&gt;\">a\xef\xbf\xbd]]&gt;\xef\xbf\xbd&#10;"
              "</failure>\n"
              "    </testcase>\n"
              "  </testsuite>\n"
              "  <testsuite name=\"a&lt;b&gt;.gpu\" tests=\"1\" failures=\"0\" errors=\"1\" "
              "time=\"0.000\">\n"
              "    <testcase classname=\"a&lt;b&gt;.gpu\" name=\"one\" time=\"0.000\">\n"
              "      <error message=\"no device\"></error>\n"
              "    </testcase>\n"
              "  </testsuite>\n"
              "</testsuites>\n");
    EXPECT_EQ(xml_text("\xef\xbf\xbf\x7f"), "\xef\xbf\xbd\xef\xbf\xbd");
}

TEST(SmokeReport, CountsAndSumsUp) {
    const SmokeReport report = sample();
    EXPECT_FALSE(report.is_ok());
    EXPECT_EQ(report.count(Verdict::kFailed), 1u);
    const std::string text = report.to_text(false);
    EXPECT_NE(text.find("1 of 3 passed\n"), std::string::npos);
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_NE(report.to_text(true).find("\x1b[31m"), std::string::npos);
    EXPECT_EQ(report.to_json().find('\n'), std::string::npos);
}

}  // namespace
}  // namespace tenon::cli
