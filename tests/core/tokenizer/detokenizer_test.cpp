#include "core/tokenizer/detokenizer.h"

#include <random>

#include <gtest/gtest.h>

#include "tests/core/tokenizer/tiny_vocabulary.h"

namespace tenon::tokenizer {
namespace {

TEST(Detokenizer, HoldsACharacterUntilItIsWhole) {
    const auto t = Tokenizer::create(TinyVocabulary().vocabulary);
    ASSERT_TRUE(t) << t.error().message;
    StreamingDetokenizer stream(*t);
    std::string out;
    for (int id : {0x61, 0xF0, 0x9F, 0x98})
        ASSERT_TRUE(stream.push(id, out));
    EXPECT_EQ(out, "a");
    EXPECT_EQ(stream.held(), 3u);
    ASSERT_TRUE(stream.push(0x80, out));
    EXPECT_EQ(out, "a\xF0\x9F\x98\x80");
    EXPECT_EQ(stream.held(), 0u);
}

TEST(Detokenizer, FlushReplacesWhatNeverCame) {
    const auto t = Tokenizer::create(TinyVocabulary().vocabulary);
    StreamingDetokenizer stream(*t);
    std::string out;
    ASSERT_TRUE(stream.push(0xE2, out));
    stream.flush(out);
    EXPECT_EQ(out, "\xEF\xBF\xBD");
    ASSERT_TRUE(stream.push('b', out));  // ready for the next text
    EXPECT_EQ(out,
              "\xEF\xBF\xBD"
              "b");
}

TEST(Detokenizer, AForeignIdIsRefusedAndChangesNothing) {
    const auto t = Tokenizer::create(TinyVocabulary().vocabulary);
    StreamingDetokenizer stream(*t);
    std::string out;
    ASSERT_TRUE(stream.push(0xC3, out));
    EXPECT_FALSE(stream.push(t->size(), out));
    EXPECT_FALSE(stream.push(-1, out));
    ASSERT_TRUE(stream.push(0xA9, out));
    EXPECT_EQ(out, "é");
}

TEST(Detokenizer, TheStreamIsWhatBatchDecodeGives) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    TinyVocabulary tiny;
    tiny.grow(random, 60);
    const int32_t control = tiny.add("<|c|>", TokenType::kControl);
    const auto t = Tokenizer::create(tiny.vocabulary);
    ASSERT_TRUE(t) << t.error().message;
    for (int round = 0; round < 4000; ++round) {
        const DecodeOptions options = {.skip_special = round % 2 == 0};
        std::vector<int32_t> ids(random() % 30);
        for (int32_t& id : ids) {
            const uint32_t kind = random() % 8;
            id = kind == 0 ? control
                 : kind == 1
                     ? static_cast<int32_t>(random() % static_cast<uint32_t>(t->size()))
                     : std::vector<int32_t>{0xE2, 0x82, 0xAC, 0xC3, 0xA9, 0xF0, 'a'}[random() % 7];
        }
        StreamingDetokenizer stream(*t, options);
        std::string streamed;
        for (int32_t id : ids) {
            std::string piece;
            ASSERT_TRUE(stream.push(id, piece));
            ASSERT_TRUE(is_utf8(piece));
            streamed += piece;
        }
        stream.flush(streamed);
        const auto whole = t->decode(ids, options);
        ASSERT_TRUE(whole);
        ASSERT_EQ(streamed, *whole);
    }
}

}  // namespace
}  // namespace tenon::tokenizer
