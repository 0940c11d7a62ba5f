#include "core/tokenizer/special_tokens.h"

#include <random>

#include <gtest/gtest.h>

namespace tenon::tokenizer {
namespace {

// The definition: tokens one by one, longest first; each takes its occurrences from left to right out
// of the stretches still free. Tokens of one length must not overlap each other.
std::string mark_plainly(std::vector<SpecialTokens::Token> tokens, const std::string& text) {
    std::stable_sort(tokens.begin(), tokens.end(),
                     [](const auto& a, const auto& b) { return a.text.size() > b.text.size(); });
    std::string marks(text.size(), '.');
    for (const auto& token : tokens) {
        for (size_t at = 0; at + token.text.size() <= text.size();) {
            const bool free =
                marks.substr(at, token.text.size()) == std::string(token.text.size(), '.');
            if (free && text.compare(at, token.text.size(), token.text) == 0) {
                std::fill_n(marks.begin() + static_cast<ptrdiff_t>(at), token.text.size(),
                            static_cast<char>('A' + token.id));
                at += token.text.size();
            } else {
                ++at;
            }
        }
    }
    return marks;
}

std::string mark(const SpecialTokens& tokens, const std::string& text,
                 SpecialScope scope = SpecialScope::kAll) {
    std::vector<SpecialMatch> matches;
    tokens.find(text, 0, text.size(), scope, matches);
    std::string marks(text.size(), '.');
    size_t end = 0;
    for (const SpecialMatch& match : matches) {
        EXPECT_GE(match.begin, end);
        end = match.end;
        for (size_t i = match.begin; i < match.end; ++i)
            marks[i] = static_cast<char>('A' + match.id);
    }
    return marks;
}

TEST(SpecialTokens, TheLongestGoesFirstEvenWhenAShorterOneBeginsEarlier) {
    const auto tokens = SpecialTokens::build({{"ab", 0}, {"bcde", 1}, {"e", 2}});
    EXPECT_EQ(mark(tokens, "abcde"), ".BBBB");
    EXPECT_EQ(mark(tokens, "ab bcd e"), "AA.....C");
}

TEST(SpecialTokens, OneTokenTakesFromTheLeft) {
    const auto tokens = SpecialTokens::build({{"aa", 0}});
    EXPECT_EQ(mark(tokens, "aaaaa"), "AAAA.");
}

TEST(SpecialTokens, ScopesSayWhatMayBeFound) {
    const auto tokens =
        SpecialTokens::build({{"<c>", 0, false}, {"<u>", 1, true}, {"  ", 2, true}});
    EXPECT_EQ(mark(tokens, "<c><u>  ", SpecialScope::kAll), "AAABBBCC");
    EXPECT_EQ(mark(tokens, "<c><u>  ", SpecialScope::kUserDefined), "...BBBCC");
    EXPECT_EQ(mark(tokens, "<c><u>  ", SpecialScope::kWhitespace), "......CC");
}

TEST(SpecialTokens, RangesDoNotLookOutside) {
    const auto tokens = SpecialTokens::build({{"<c>", 0}});
    std::vector<SpecialMatch> matches;
    tokens.find("<c><c><c>", 1, 8, SpecialScope::kAll, matches);
    ASSERT_EQ(matches.size(), 1u);
    EXPECT_EQ(matches[0].begin, 3u);
    EXPECT_EQ(matches[0].end, 6u);
}

TEST(SpecialTokens, RandomTextsFollowTheDefinition) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 3000; ++round) {
        std::vector<SpecialTokens::Token> list;
        for (size_t length = 1; length < 7; ++length) {  // one of each length
            if (random() % 3 == 0) continue;
            std::string text(length, ' ');
            for (char& c : text)
                c = "ab"[random() % 2];
            list.push_back({text, static_cast<int32_t>(list.size()), false});
        }
        std::string text(random() % 40, ' ');
        for (char& c : text)
            c = "abc"[random() % 3];
        ASSERT_EQ(mark(SpecialTokens::build(list), text), mark_plainly(list, text)) << text;
    }
}

}  // namespace
}  // namespace tenon::tokenizer
