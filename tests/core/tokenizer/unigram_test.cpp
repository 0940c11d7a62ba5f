#include "core/tokenizer/unigram.h"

#include <random>

#include "tests/core/tokenizer/piece_vocabulary.h"

namespace tenon::tokenizer {
namespace {

using Ids = std::vector<int32_t>;
const std::string kMark(kSpaceMark);

struct Sample : PieceVocabulary {
    int32_t the, t, he, cat, c, at;
    Sample() : PieceVocabulary("t5") {
        add("<pad>", 0, TokenType::kControl);
        add("</s>", 0, TokenType::kControl);
        add("<unk>", 0, TokenType::kUnknown);
        add(kMark, -2);
        the = add(kMark + "the", -3);
        t = add("t", -4);
        he = add("he", -5);
        cat = add("cat", -9);
        c = add("c", -4);
        at = add("at", -4);
        vocabulary.add_space_prefix = true;
    }
};

TEST(Unigram, TheSumOfScoresDecides) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(plain_ids(t, "the"), Ids{s.the});
    EXPECT_EQ(plain_ids(t, "cat"), (Ids{3, s.c, s.at}));  // -8 beats -9
    EXPECT_EQ(*t.encode("the"), (Ids{s.the, 1}));         // EOS, where the file says nothing
    EXPECT_EQ(*t.decode(Ids{s.the, s.cat}), "thecat");
}

TEST(Unigram, UnknownCharactersInARowAreOneToken) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(plain_ids(t, "xyz"), (Ids{3, 2}));
    EXPECT_EQ(plain_ids(t, "x\u00e9the\xFF\xFFt"), (Ids{3, 2, s.t, s.he, 2, s.t}));
}

TEST(Unigram, SpacesAsTheFileSays) {
    Sample s;
    EXPECT_EQ(plain_ids(s.make(), "  t  t "), (Ids{3, 3, 3, s.t, 3, 3, s.t, 3}));
    s.vocabulary.remove_extra_whitespaces = true;
    EXPECT_EQ(plain_ids(s.make(), "  t  t "), (Ids{3, s.t, 3, s.t}));
    s.vocabulary.remove_extra_whitespaces = false;
    s.vocabulary.add_space_prefix = false;
    EXPECT_EQ(plain_ids(s.make(), "t t"), (Ids{s.t, 3, s.t}));
    EXPECT_EQ(*s.make().decode(Ids{s.the}), " the");
}

TEST(Unigram, RefusesWhatItCannotWorkWith) {
    PieceVocabulary none("t5");
    none.add("a", -1);
    EXPECT_NE(none.refusal().find("no unknown token"), std::string::npos) << none.refusal();
    Sample s;
    s.vocabulary.charsmap = std::string_view("\x08\0\0\0abc", 7);
    EXPECT_NE(s.refusal().find("normaliser"), std::string::npos) << s.refusal();
    s.vocabulary.charsmap = {};
    s.add(std::string(1025, 'x'), -1);
    EXPECT_NE(s.refusal().find("has 1025 bytes; the limit"), std::string::npos) << s.refusal();
}

// The best way by trying the ends of all prefixes, scores summed from the front.
Ids cut_plainly(const PieceVocabulary& p, const std::string& text, double unknown) {
    std::vector<double> best(text.size() + 1, -1e300);
    std::vector<size_t> from(text.size() + 1);
    Ids last(text.size() + 1, -1);
    best[0] = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        bool covered = false;
        for (size_t end = at + 1; end <= text.size(); ++end) {
            const auto& tokens = p.vocabulary.tokens;
            const auto found = std::find(tokens.begin(), tokens.end(), text.substr(at, end - at));
            if (found == tokens.end()) continue;
            covered = covered || end == at + 1;
            const auto id = static_cast<size_t>(found - tokens.begin());
            const double score = best[at] + static_cast<double>(p.vocabulary.scores[id]);
            if (score <= best[end]) continue;
            best[end] = score;
            from[end] = at;
            last[end] = static_cast<int32_t>(id);
        }
        if (covered || best[at] + unknown <= best[at + 1]) continue;
        best[at + 1] = best[at] + unknown;
        from[at + 1] = at;
        last[at + 1] = 0;
    }
    Ids ids;
    for (size_t at = text.size(); at > 0; at = from[at]) {
        if (last[at] != 0 || ids.empty() || ids.back() != 0) ids.push_back(last[at]);
    }
    std::reverse(ids.begin(), ids.end());
    return ids;
}

TEST(Unigram, TextsOfEveryLengthFollowTheDefinition) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 40; ++round) {
        PieceVocabulary p("t5");
        p.add("<unk>", 0, TokenType::kUnknown);
        p.vocabulary.unk = 0;
        p.vocabulary.add_eos = false;
        float worst = 0;
        std::vector<std::string> made;
        for (int i = 0; i < 15; ++i) {
            std::string text;
            for (uint32_t n = 1 + random() % 5; n > 0; --n)
                text += static_cast<char>('a' + random() % 3);
            if (std::find(made.begin(), made.end(), text) != made.end()) continue;
            made.push_back(text);
            p.add(text, -static_cast<float>(random() % 900) / 64);
            worst = std::min(worst, p.vocabulary.scores.back());
        }
        const Tokenizer t = p.make();
        for (size_t length = 1; length < 70; ++length) {
            std::string text;
            while (text.size() < length)
                text += "abcd"[random() % 4];
            ASSERT_EQ(plain_ids(t, text), cut_plainly(p, text, static_cast<double>(worst) - 10))
                << text;
        }
    }
}

TEST(Unigram, WorkIsLinearInTheText) {
    PieceVocabulary p("t5");
    p.add("<unk>", 0, TokenType::kUnknown);
    p.vocabulary.unk = 0;
    p.vocabulary.add_eos = false;
    for (size_t n = 1; n <= 64; ++n)
        p.add(std::string(n, 'a'), -1);
    const Tokenizer t = p.make();
    for (const char* unit : {"a", "ab", " ", "\xE2", "b"})
        expect_linear(t, unit);
}

}  // namespace
}  // namespace tenon::tokenizer
