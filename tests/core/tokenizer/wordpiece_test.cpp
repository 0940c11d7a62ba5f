#include "core/tokenizer/wordpiece.h"

#include "core/tokenizer/unicode_tables.h"
#include "tests/core/tokenizer/piece_vocabulary.h"

namespace tenon::tokenizer {
namespace {

using Ids = std::vector<int32_t>;
const std::string kMark(kSpaceMark);

struct Sample : PieceVocabulary {
    int32_t play, ing, dot, cafe, cafe_accent, ideograph, big;
    Sample() : PieceVocabulary("bert") {
        add("[UNK]", 0, TokenType::kUnknown);
        add("[CLS]", 0, TokenType::kControl);
        add("[SEP]", 0, TokenType::kControl);
        play = add(kMark + "play");
        ing = add("ing");
        dot = add(kMark + ".");
        cafe = add(kMark + "cafe");
        cafe_accent = add(kMark + "caf\u00e9");
        ideograph = add(kMark + "\u4e16");
        big = add(kMark + "PLAY");
        vocabulary.unk = 0;
        vocabulary.bos = 1;
        vocabulary.sep = 2;
    }
};

TEST(WordPiece, TheLongestTokensCoverAWord) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(plain_ids(t, "playing. \tplay"), (Ids{s.play, s.ing, s.dot, s.play}));
    EXPECT_EQ(plain_ids(t, "playxing"), Ids{0});  // the whole word, not its rest
    EXPECT_EQ(plain_ids(t, "\u4e16\u4e16play"), (Ids{s.ideograph, s.ideograph, s.play}));
    EXPECT_EQ(plain_ids(t, "play\u200b\xFFing"),
              (Ids{s.play, s.ing}));  // format characters and broken bytes go
    EXPECT_EQ(*t.decode(Ids{s.play, s.ing, s.cafe}), "playing cafe");
}

TEST(WordPiece, EveryTextStandsBetweenTwoTokens) {
    Sample s;
    s.vocabulary.add_bos = false;
    s.vocabulary.add_eos = false;
    EXPECT_EQ(*s.make().encode("play"), (Ids{1, s.play, 2}));
    EXPECT_EQ(*s.make().encode(""), (Ids{1, 2}));
}

TEST(WordPiece, CaseAndAccentsAsTheFileSays) {
    Sample s;
    EXPECT_EQ(plain_ids(s.make(), "Caf\u00e9 CAFE\u0301 PLAY"), (Ids{s.cafe, s.cafe, s.play}));
    s.vocabulary.strips_accents = false;
    EXPECT_EQ(plain_ids(s.make(), "CAF\u00c9 cafe"), (Ids{s.cafe_accent, s.cafe}));
    s.vocabulary.strips_accents.reset();
    s.vocabulary.lowers_case = false;
    EXPECT_EQ(plain_ids(s.make(), "PLAY caf\u00e9 Play"), (Ids{s.big, s.cafe_accent, 0}));
}

TEST(WordPiece, RefusesAVocabularyWithoutItsTokens) {
    PieceVocabulary p("bert");
    p.add("a");
    EXPECT_NE(p.refusal().find("no BOS id"), std::string::npos) << p.refusal();
    p.vocabulary.bos = 0;
    p.vocabulary.sep = 0;
    EXPECT_NE(p.refusal().find("no unknown token"), std::string::npos) << p.refusal();
}

TEST(WordPiece, WorkIsLinearInTheText) {
    Sample s;
    for (size_t n = 1; n <= 64; ++n)
        s.add(std::string(n, 'a'));
    const Tokenizer t = s.make();
    for (const char* unit : {"a", " ", ".", "play", "\u00e9", "\xE2"})
        expect_linear(t, unit);
}

TEST(UnicodeTables, KnowWhatTheyAreAskedFor) {
    for (const uint32_t point : {0x20u, 0x85u, 0x3000u, 0x2028u})
        EXPECT_TRUE(is_white_space(point)) << point;
    for (const uint32_t point : {0x180Eu, 0x200Bu, 0x1Cu, 0xFEFFu})
        EXPECT_FALSE(is_white_space(point)) << point;
    for (const uint32_t point : {0x21u, 0x5Fu, 0x3001u, 0xFF5Du})
        EXPECT_TRUE(is_punctuation(point)) << point;
    for (const uint32_t point : {0x24u, 0x7Eu, 0x41u, 0x110000u})
        EXPECT_FALSE(is_punctuation(point)) << point;
    EXPECT_TRUE(is_mark(0x301) && is_mark(0xE0100) && !is_mark(0x41));
    EXPECT_TRUE(is_control(0) && is_control(0xAD) && is_control(0xE000) && is_control(0xD800) &&
                !is_control(0x378));
    EXPECT_EQ(base_of(0xE9), 0x65u);
    EXPECT_EQ(base_of(0xAC01), 0x1100u);  // a syllable: its first letter
    EXPECT_EQ(base_of(0xF900), 0x8C48u);  // a compatibility ideograph
    EXPECT_EQ(base_of(0x41), 0x41u);
    EXPECT_EQ(lower_of(0x130), 0x69u);  // the first of the two it becomes
    EXPECT_EQ(lower_of(0x1E9E), 0xDFu);
    EXPECT_EQ(lower_of(0x10FFFF), 0x10FFFFu);
}

}  // namespace
}  // namespace tenon::tokenizer
