#include "core/tokenizer/spm.h"

#include <random>

#include "core/tokenizer/detokenizer.h"
#include "tests/core/tokenizer/piece_vocabulary.h"

namespace tenon::tokenizer {
namespace {

using Ids = std::vector<int32_t>;
const std::string kMark(kSpaceMark);

// Three specials, the bytes, then some pieces.
struct Sample : PieceVocabulary {
    int32_t hello, mark, mark_he, llo, h, e, l, o, tool;
    Sample() : PieceVocabulary("llama") {
        add("<unk>", 0, TokenType::kUnknown);
        add("<s>", 0, TokenType::kControl);
        add("</s>", 0, TokenType::kControl);
        add_bytes();
        h = add("h", -20);
        e = add("e", -21);
        l = add("l", -22);
        o = add("o", -23);
        mark = add(kMark, -24);
        add("he", -3);
        add("ll", -2);
        llo = add("llo", -4);
        add(kMark + "h", -5);
        mark_he = add(kMark + "he", -6);
        hello = add(kMark + "hello", -7);
        tool = add("<tool>", 0, TokenType::kUserDefined);
    }
};

TEST(Spm, TheBestScoreJoinsFirst) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(plain_ids(t, "hello"), Ids{s.hello});
    EXPECT_EQ(plain_ids(t, "he"), Ids{s.mark_he});
    EXPECT_EQ(plain_ids(t, "ollo"), (Ids{s.mark, s.o, s.llo}));
    EXPECT_EQ(*t.encode("hello"), (Ids{1, s.hello}));  // BOS, where the file says nothing
}

TEST(Spm, WhatNoTokenSpellsBecomesBytes) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(plain_ids(t, "\u00e9"), (Ids{s.mark, 3 + 0xC3, 3 + 0xA9}));
    EXPECT_EQ(plain_ids(t, "\xE2\x82"), (Ids{s.mark, 3 + 0xE2, 3 + 0x82}));  // broken: as it is
    const Ids ids = plain_ids(t, "<0x41></s>");
    for (const int32_t id : ids)
        EXPECT_FALSE(id == 3 + 0x41 || id == 2) << id;  // text stays text
    EXPECT_EQ(*t.decode(ids), "<0x41></s>");
}

TEST(Spm, WithoutByteTokensTheUnknownTokenStands) {
    PieceVocabulary p("llama");
    p.add("<unk>", 0, TokenType::kUnknown);
    p.add("a", -1);
    const Tokenizer t = p.make();
    EXPECT_EQ(plain_ids(t, "a\u00e9"), (Ids{0, 1, 0}));  // the mark, a, one for the whole character
}

TEST(Spm, TheSpaceInFrontComesAndGoes) {
    Sample s;
    {
        const Tokenizer t = s.make();
        EXPECT_TRUE(t.adds_space_prefix());
        for (const std::string text : {"hello", " hello", "he\u00e9 x", "", "  "}) {
            const Ids ids = plain_ids(t, text);
            EXPECT_EQ(*t.decode(ids), text);
            EXPECT_EQ(*t.decode(ids, {.continues = true}), text.empty() ? "" : " " + text);
        }
        // A piece after a special token gets its own.
        EXPECT_EQ(plain_ids(t, "hello<tool>hello"), (Ids{s.hello, s.tool, s.hello}));
    }
    s.vocabulary.add_space_prefix = false;
    const Tokenizer t = s.make();
    EXPECT_EQ(plain_ids(t, " hello"), Ids{s.hello});
    EXPECT_EQ(*t.decode(Ids{s.hello}), " hello");
}

TEST(Spm, AStreamHoldsBytesUntilTheCharacterIsWhole) {
    const Sample s;
    const Tokenizer t = s.make();
    StreamingDetokenizer stream(t);
    std::string out;
    ASSERT_TRUE(stream.push(3 + 0xC3, out));
    EXPECT_EQ(out, "");
    ASSERT_TRUE(stream.push(3 + 0xA9, out));
    EXPECT_EQ(out, "\u00e9");
    ASSERT_TRUE(stream.push(s.hello, out));
    EXPECT_EQ(out, "\u00e9 hello");  // an answer goes on where its prompt ended
}

TEST(Spm, SpecialTokensOfPhi3TakeWhiteSpaceAlong) {
    Sample s;
    const int32_t user = s.add("<|user|>", 0, TokenType::kControl);
    s.vocabulary.strips_after_special = true;
    const Tokenizer t = s.make();
    EXPECT_EQ(*t.encode("<|user|>\n  hello", {.add_special = false, .parse_special = true}),
              (Ids{user, s.hello}));
    const Segment parts[] = {{"<|user|>\n", true}, {" hello", false}};
    EXPECT_EQ(*t.encode_segments(parts, {.add_special = false}), (Ids{user, s.hello}));
    EXPECT_EQ(*t.encode("<s> hello", {.add_special = false, .parse_special = true}).value().begin(),
              1);
    EXPECT_EQ(*t.encode("<s> hello", {.add_special = false, .parse_special = true}),
              (Ids{1, s.mark, s.hello}));
}

// The definition: of all neighbours that together are a token the best, the leftmost of equals.
Ids join_plainly(const PieceVocabulary& p, std::string_view text) {
    std::vector<std::string> parts;
    const std::string marked = kMark + std::string(text);
    for (size_t at = 0; at < marked.size();) {
        const size_t length = marked[at] == kMark[0] ? 3 : 1;
        parts.push_back(marked.substr(at, length));
        at += length;
    }
    const auto id_of = [&](const std::string& part) {
        const auto& tokens = p.vocabulary.tokens;
        const auto at = std::find(tokens.begin(), tokens.end(), part);
        return at == tokens.end() ? -1 : static_cast<int32_t>(at - tokens.begin());
    };
    for (;;) {
        size_t best = parts.size();
        float score = 0;
        for (size_t i = 0; i + 1 < parts.size(); ++i) {
            const int32_t id = id_of(parts[i] + parts[i + 1]);
            if (id < 0) continue;
            const float here = p.vocabulary.scores[static_cast<size_t>(id)];
            if (best < parts.size() && here <= score) continue;
            best = i;
            score = here;
        }
        if (best == parts.size()) break;
        parts[best] += parts[best + 1];
        parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
    Ids ids;
    for (const std::string& part : parts) {
        const int32_t id = id_of(part);
        if (id >= 0) {
            ids.push_back(id);
        } else {
            for (const char byte : part)
                ids.push_back(1 + static_cast<uint8_t>(byte));
        }
    }
    return ids;
}

TEST(Spm, TextsOfEveryLengthFollowTheDefinition) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    for (int round = 0; round < 30; ++round) {
        PieceVocabulary p("llama");
        p.add("<unk>", 0, TokenType::kUnknown);
        p.add_bytes();
        p.vocabulary.add_bos = false;
        // Letters that are no token by themselves are part of others.
        std::vector<std::string> made;
        for (int i = 0; i < 25; ++i) {
            std::string text = random() % 4 == 0 ? kMark : "";
            for (uint32_t n = 1 + random() % 5; n > 0; --n)
                text += static_cast<char>('a' + random() % 3);
            if (std::find(made.begin(), made.end(), text) != made.end()) continue;
            made.push_back(text);
            p.add(text, -static_cast<float>(random() % 6));  // with ties
        }
        const Tokenizer t = p.make();
        for (size_t length = 1; length < 60; ++length) {
            std::string text;
            while (text.size() < length)
                text += "abcd"[random() % 4];
            ASSERT_EQ(plain_ids(t, text), join_plainly(p, text)) << text;
        }
    }
}

TEST(Spm, WorkIsLinearInTheText) {
    PieceVocabulary p("llama");
    p.add("<unk>", 0, TokenType::kUnknown);
    for (size_t n = 1; n <= 1024; n *= 2)
        p.add(std::string(n, 'a'), -static_cast<float>(n));
    for (size_t n = 1; n < 200; ++n)
        p.add(std::string(n, 'b'), -1000.0f + static_cast<float>(n));
    const Tokenizer t = p.make();
    for (const char* unit : {"a", "b", " ", "\xE2", "ab"})
        expect_linear(t, unit);
}

TEST(Spm, AVocabularyMadeToBeSlowIsReadInTime) {
    // Every token is the start and the end of all longer ones: as many merges as there can be.
    PieceVocabulary p("llama");
    p.add("<unk>", 0, TokenType::kUnknown);
    for (size_t n = 1; n <= 1500; ++n)
        p.add(std::string(n, 'x'));
    const std::clock_t start = std::clock();
    EXPECT_EQ(p.refusal(), "");
    EXPECT_LT(std::clock() - start, 5 * CLOCKS_PER_SEC);
}

}  // namespace
}  // namespace tenon::tokenizer
