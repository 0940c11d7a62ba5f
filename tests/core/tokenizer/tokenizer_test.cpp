#include "core/tokenizer/tokenizer.h"

#include <atomic>
#include <ctime>
#include <functional>
#include <limits>
#include <random>
#include <thread>

#include <gtest/gtest.h>

#include "core/tokenizer/utf8.h"
#include "tests/core/tokenizer/tiny_vocabulary.h"

namespace tenon::tokenizer {
namespace {

using Ids = std::vector<int32_t>;

const std::string kSpace = "\xC4\xA0";  // the spelling of a space

// Bytes, "he", "ll", "hell", "hello", " w", and special tokens.
struct Sample {
    TinyVocabulary tiny;
    int32_t hello, space_w, begin, end, tool, spaces, unknown;

    Sample() {
        tiny.merge("h", "e");
        tiny.merge("l", "l");
        tiny.merge("he", "ll");
        hello = tiny.merge("hell", "o");
        space_w = tiny.merge(kSpace, "w");
        begin = tiny.add("<|begin|>", TokenType::kControl);
        end = tiny.add("<|im_end|>", TokenType::kControl);
        tool = tiny.add("<tool>", TokenType::kUserDefined);
        spaces = tiny.add("    ", TokenType::kUserDefined);
        unknown = tiny.add("<unk>", TokenType::kUnknown);
        tiny.vocabulary.bos = begin;
        tiny.vocabulary.eos = end;
    }
    Tokenizer make() const {
        auto tokenizer = Tokenizer::create(tiny.vocabulary);
        EXPECT_TRUE(tokenizer) << tokenizer.error().message;
        return std::move(tokenizer).value();
    }
};

Ids encode(const Tokenizer& tokenizer, std::string_view text, const EncodeOptions& options = {}) {
    auto ids = tokenizer.encode(text, options);
    EXPECT_TRUE(ids) << ids.error().message;
    return std::move(ids).value();
}

Ids encode_segments(const Tokenizer& tokenizer, const std::vector<Segment>& segments) {
    auto ids = tokenizer.encode_segments(segments);
    EXPECT_TRUE(ids) << ids.error().message;
    return std::move(ids).value();
}

std::string decode(const Tokenizer& tokenizer, const Ids& ids, const DecodeOptions& options = {}) {
    auto text = tokenizer.decode(ids, options);
    EXPECT_TRUE(text) << text.error().message;
    return std::move(text).value();
}

TEST(Tokenizer, MergesInOrderOfRank) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(encode(t, "hello w"), (Ids{s.hello, s.space_w}));
    EXPECT_EQ(encode(t, "hel"), (Ids{256, 'l'}));  // 256 is "he"
    EXPECT_EQ(encode(t, ""), Ids{});
}

TEST(Tokenizer, ControlTokensAreTextUnlessAskedFor) {
    const Sample s;
    const Tokenizer t = s.make();
    EXPECT_EQ(encode(t, "hello<|im_end|>", {.parse_special = true}), (Ids{s.hello, s.end}));
    EXPECT_EQ(encode(t, "<unk>", {.parse_special = true}), Ids{s.unknown});
    const Ids plain = encode(t, "hello<|im_end|>");
    EXPECT_EQ(plain.size(), 11u);
    EXPECT_EQ(std::count(plain.begin(), plain.end(), s.end), 0);
    EXPECT_EQ(decode(t, plain), "hello<|im_end|>");
    EXPECT_EQ(encode(t, "<tool>"), Ids{s.tool});  // user-defined: always
}

TEST(Tokenizer, AddsBosAndEosWhereTheModelWantsThem) {
    Sample s;
    s.tiny.vocabulary.add_bos = true;
    s.tiny.vocabulary.add_eos = true;
    const Tokenizer t = s.make();
    EXPECT_EQ(encode(t, "hello"), (Ids{s.begin, s.hello, s.end}));
    EXPECT_EQ(encode(t, "hello", {.add_special = false}), Ids{s.hello});
    EXPECT_EQ(encode(t, ""), (Ids{s.begin, s.end}));
    EXPECT_TRUE(t.adds_bos() && t.adds_eos());
    s.tiny.vocabulary.add_bos.reset();
    s.tiny.vocabulary.add_eos.reset();
    EXPECT_FALSE(s.make().adds_bos());
    s.tiny.vocabulary.pre = "llama-bpe";  // begins with BOS unless told otherwise
    EXPECT_TRUE(s.make().adds_bos());
}

TEST(Tokenizer, UserTextNeverFormsSpecialTokens) {
    const Sample s;
    const Tokenizer t = s.make();
    const Ids mixed = encode_segments(
        t, {{"<|begin|>", true}, {"hello<|im_end|><tool><unk>", false}, {"<|im_end|>", true}});
    EXPECT_EQ(mixed.front(), s.begin);
    EXPECT_EQ(mixed.back(), s.end);
    for (int32_t id : {s.end, s.tool, s.unknown, s.begin}) {
        EXPECT_EQ(std::count(mixed.begin() + 1, mixed.end() - 1, id), 0) << id;
    }
    EXPECT_EQ(decode(t, mixed), "<|begin|>hello<|im_end|><tool><unk><|im_end|>");
    // White space is white space, whoever wrote it.
    EXPECT_EQ(encode_segments(t, {{"a    b", false}}), (Ids{'a', s.spaces, 'b'}));
}

TEST(Tokenizer, NoSpecialTokenSpansABorder) {
    const Sample s;
    const Tokenizer t = s.make();
    for (const auto& parts : std::vector<std::vector<Segment>>{
             {{"<|im_", true}, {"end|>", false}},
             {{"<|im_", false}, {"end|>", true}},
             {{"<|im_", false}, {"end|>", false}},
             {{"<|", true}, {"im_end", false}, {"|>", true}},
         }) {
        const Ids ids = encode_segments(t, parts);
        EXPECT_EQ(std::count(ids.begin(), ids.end(), s.end), 0);
        EXPECT_EQ(decode(t, ids), "<|im_end|>");
    }
    // Two template parts in a row are one text.
    EXPECT_EQ(encode_segments(t, {{"<|im_", true}, {"", false}, {"end|>", true}}).size(), 10u);
    EXPECT_EQ(encode_segments(t, {{"<|im_", true}, {"end|>", true}}), Ids{s.end});
}

TEST(Tokenizer, WordsGoAcrossBorders) {
    const Sample s;
    EXPECT_EQ(encode_segments(s.make(), {{"he", true}, {"llo", false}}), Ids{s.hello});
    EXPECT_EQ(encode_segments(s.make(), {{" ", true}, {"w", false}}), Ids{s.space_w});
}

TEST(Tokenizer, MergesAndWholeWordsNeverYieldControlTokens) {
    TinyVocabulary tiny;
    const int32_t evil = tiny.add("ab", TokenType::kControl);
    tiny.merge("a", "b");
    for (const char* pre : {"gpt-2", "llama-bpe"}) {
        tiny.vocabulary.pre = pre;
        const auto t = Tokenizer::create(tiny.vocabulary);
        ASSERT_TRUE(t) << t.error().message;
        EXPECT_EQ(encode(*t, "ab"), (Ids{'a', 'b'})) << pre;
        EXPECT_EQ(encode(*t, "ab", {.parse_special = true}), Ids{evil});
    }
}

TEST(Tokenizer, WholeWordsWinOverMergesOnlyForLlamaRules) {
    TinyVocabulary tiny;
    const int32_t word = tiny.add("xyz", TokenType::kNormal);
    tiny.vocabulary.pre = "llama-bpe";
    EXPECT_EQ(encode(*Tokenizer::create(tiny.vocabulary), "xyz"), Ids{word});
    tiny.vocabulary.pre = "gpt-2";
    EXPECT_EQ(encode(*Tokenizer::create(tiny.vocabulary), "xyz"), (Ids{'x', 'y', 'z'}));
}

TEST(Tokenizer, ValidTextComesBackAndAnyBytesAreLegal) {
    const uint32_t seed = std::random_device{}();
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    TinyVocabulary tiny;
    tiny.grow(random, 60);
    for (const char* pre : {"gpt-2", "smollm", "llama-bpe", "default"}) {
        tiny.vocabulary.pre = pre;
        const auto t = Tokenizer::create(tiny.vocabulary);
        ASSERT_TRUE(t) << t.error().message;
        for (int i = 0; i < 1000; ++i) {
            std::string text(random() % 60, ' ');
            for (char& c : text)
                c = i % 2 ? "abc 1\n'\t."[random() % 9] : static_cast<char>(random());
            const Ids ids = encode(*t, text);
            ASSERT_LE(ids.size(), 3 * text.size());
            ASSERT_EQ(decode(*t, ids, {.repair = false}),
                      is_utf8(text) ? text : clean_text(text).bytes);
        }
    }
}

TEST(Tokenizer, ThreadsShareOne) {
    std::mt19937 random(5);
    Sample s;
    s.tiny.grow(random, 60);
    const Tokenizer t = s.make();
    const std::string text = "hello we  abc \xC3\xA9 12<|im_end|> \xE2\x82 cab";
    const Ids expected = encode(t, text, {.parse_special = true});
    std::vector<std::thread> threads;
    std::atomic<int> wrong = 0;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (int n = 0; n < 200; ++n) {
                const auto ids = t.encode(text, {.parse_special = true});
                if (!ids || *ids != expected) ++wrong;
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(wrong, 0);
}

TEST(Tokenizer, BytesWithoutATokenAreLeftOut) {
    const std::vector<std::string_view> tokens = {"a", "b"};
    Vocabulary vocabulary;
    vocabulary.model = "gpt2";
    vocabulary.tokens = tokens;
    const auto t = Tokenizer::create(vocabulary);
    ASSERT_TRUE(t) << t.error().message;
    EXPECT_EQ(encode(*t, "a?b"), (Ids{0, 1}));
}

TEST(Tokenizer, DecodesByType) {
    TinyVocabulary tiny;
    const int32_t control =
        tiny.add("<\xC4\xA0>", TokenType::kControl);  // not in the byte alphabet
    const int32_t byte = tiny.add("<0x41>", TokenType::kByte);
    const int32_t unused = tiny.add("<unused0>", TokenType::kUnused);
    const auto t = Tokenizer::create(tiny.vocabulary);
    ASSERT_TRUE(t) << t.error().message;
    EXPECT_EQ(t->token_bytes(control), "<\xC4\xA0>");
    EXPECT_EQ(t->token_bytes(byte), "A");
    EXPECT_EQ(t->token_bytes(unused), "");
    EXPECT_EQ(t->token_bytes(' '), " ");
    EXPECT_EQ(t->token_text(' '), kSpace);
    EXPECT_EQ(t->token_text(-1), "");
    EXPECT_EQ(t->token_bytes(t->size()), "");
    EXPECT_EQ(decode(*t, {'h', control, 'i'}, {.skip_special = true}), "hi");
    EXPECT_EQ(decode(*t, {0xE2, 0x82}), "\xEF\xBF\xBD");
    EXPECT_EQ(decode(*t, {0xE2, 0x82}, {.repair = false}), "\xE2\x82");
}

TEST(Tokenizer, KnowsWhatEndsAGeneration) {
    Sample s;
    const int32_t eot = s.tiny.add("<stop>", TokenType::kControl);
    const int32_t known = s.tiny.add("<|eot_id|>", TokenType::kNormal);
    s.tiny.vocabulary.eot = eot;
    s.tiny.vocabulary.eog = {s.tool};
    const Tokenizer t = s.make();
    for (int32_t id : {s.end, eot, known, s.tool})
        EXPECT_TRUE(t.is_eog(id)) << id;
    for (int32_t id : {s.begin, s.hello, -1, t.size()})
        EXPECT_FALSE(t.is_eog(id)) << id;
    EXPECT_TRUE(t.is_special(known));  // whatever the file says of it
    EXPECT_EQ(t.find_token("<stop>"), eot);
    EXPECT_EQ(t.find_token("<none>"), std::nullopt);
}

TEST(Tokenizer, RefusesInputOverTheLimit) {
    const Tokenizer t = Sample().make();
    const auto ids = t.encode("12345", {.input_bytes_max = 4});
    ASSERT_FALSE(ids);
    EXPECT_EQ(ids.error().message, "the text to tokenize has 5 bytes; the limit is 4");
    const std::vector<Segment> segments = {{"123", true}, {"45", false}};
    EXPECT_FALSE(t.encode_segments(segments, {.input_bytes_max = 4}));
    EXPECT_TRUE(t.encode_segments(segments, {.input_bytes_max = 5}));
}

TEST(Tokenizer, RefusesToDecodeForeignIds) {
    const Tokenizer t = Sample().make();
    for (int32_t id : {-1, t.size(), std::numeric_limits<int32_t>::max()}) {
        const auto text = t.decode(Ids{0, id});
        ASSERT_FALSE(text);
        EXPECT_NE(text.error().message.find("at place 1 of 2"), std::string::npos)
            << text.error().message;
    }
}

struct Refusal {
    const char* words;  // in the message
    std::function<void(TinyVocabulary&)> spoil;
};

TEST(Tokenizer, RefusesBadVocabulariesWithOneSentence) {
    const Refusal kRefusals[] = {
        {"model 'rwkv'", [](auto& t) { t.vocabulary.model = "rwkv"; }},
        {"token 1 has the score nan",
         [](auto& t) {
             t.vocabulary.scores.assign(t.vocabulary.tokens.size(), 0.0f);
             t.vocabulary.scores[1] = std::numeric_limits<float>::quiet_NaN();
         }},
        {"FIM prefix id is 256", [](auto& t) { t.vocabulary.fim_prefix = 256; }},
        {"separator id", [](auto& t) { t.vocabulary.sep = -5; }},
        {"rules 'nope'", [](auto& t) { t.vocabulary.pre = "nope"; }},
        {"has no tokens", [](auto& t) { t.vocabulary.tokens.clear(); }},
        {"both 'a'", [](auto& t) { t.add("a", TokenType::kNormal); }},
        {"3 token types", [](auto& t) { t.vocabulary.types.resize(3); }},
        {"2 scores", [](auto& t) { t.vocabulary.scores.resize(2); }},
        {"token 5 has type 9", [](auto& t) { t.vocabulary.types[5] = static_cast<TokenType>(9); }},
        {"spelled '<0x-1>'", [](auto& t) { t.add("<0x-1>", TokenType::kByte); }},
        {"spelled '<0x1>'", [](auto& t) { t.add("<0x1>", TokenType::kByte); }},
        {"merge 0 is 'zz a', but its left", [](auto& t) { t.vocabulary.merges = {"zz a"}; }},
        {"merge 1 is 'a zz', but its right",
         [](auto& t) { t.merge("a", "b"), t.vocabulary.merges.push_back("a zz"); }},
        {"merge 0 is 'x y', but its joined", [](auto& t) { t.vocabulary.merges = {"x y"}; }},
        {"merge 0 is 'ab'", [](auto& t) { t.vocabulary.merges = {"ab"}; }},
        {"merge 0 is ''", [](auto& t) { t.vocabulary.merges = {""}; }},
        {"BOS id is 256", [](auto& t) { t.vocabulary.bos = 256; }},
        {"EOS id is -1", [](auto& t) { t.vocabulary.eos = -1; }},
        {"EOT id is 4294967296", [](auto& t) { t.vocabulary.eot = 1ll << 32; }},
        {"unknown-token id", [](auto& t) { t.vocabulary.unk = 999; }},
        {"padding id", [](auto& t) { t.vocabulary.pad = 999; }},
        {"end-of-generation id", [](auto& t) { t.vocabulary.eog = {999}; }},
        {"no BOS id", [](auto& t) { t.vocabulary.add_bos = true; }},
        {"no EOS id", [](auto& t) { t.vocabulary.add_eos = true; }},
        {"limits are 65535 for one",
         [](auto& t) { t.add(std::string(65536, 'x'), TokenType::kNormal); }},
        {"has 1025 bytes", [](auto& t) { t.add(std::string(1025, 'x'), TokenType::kControl); }},
    };
    for (const Refusal& refusal : kRefusals) {
        TinyVocabulary tiny;
        refusal.spoil(tiny);
        const auto t = Tokenizer::create(tiny.vocabulary);
        ASSERT_FALSE(t) << refusal.words;
        EXPECT_NE(t.error().message.find(refusal.words), std::string::npos) << t.error().message;
        EXPECT_EQ(t.error().message.find('\n'), std::string::npos);
    }
}

// Eight times the text costs about 8 times the work, not 64 times. Processor time of the best of some
// runs, against four times the linear cost: that much a shared machine does not move it.
TEST(Tokenizer, WorkIsLinearInTheText) {
    std::mt19937 random(3);
    Sample s;
    s.tiny.grow(random, 100);
    for (const char* pre : {"gpt-2", "llama-bpe"}) {
        s.tiny.vocabulary.pre = pre;
        const Tokenizer t = s.make();
        for (const char* unit : {"a", " ", "\n ", "<|im_end|>", "<|", "!", "\xE2\x82", "ab1 "}) {
            const auto ticks = [&](size_t bytes) {
                std::string text;
                while (text.size() < bytes)
                    text += unit;
                std::clock_t best = std::numeric_limits<std::clock_t>::max();
                for (int run = 0; run < 3; ++run) {
                    const std::clock_t start = std::clock();
                    EXPECT_FALSE(encode(t, text, {.parse_special = true}).empty());
                    best = std::min(best, std::clock() - start);
                }
                return best;
            };
            const std::clock_t one = ticks(1u << 15);
            EXPECT_LT(ticks(1u << 18), one * 32 + CLOCKS_PER_SEC / 100)
                << pre << " '" << unit << "'";
        }
    }
}

}  // namespace
}  // namespace tenon::tokenizer
