// Real vocabularies, which are not committed. TENON_TEST_MODEL: a SmolLM2 in GGUF, against
// tests/golden/tokenizer/smollm2.tsv. TENON_TEST_VOCABS: a folder with llama.cpp's ggml-vocab-X.gguf
// and the .inp and .out beside them, texts and ids of the models' own tokenizers.
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>

#include <gtest/gtest.h>

#include "core/formats/gguf.h"
#include "core/formats/gguf_vocabulary.h"
#include "core/tokenizer/detokenizer.h"
#include "core/tokenizer/tokenizer.h"

namespace tenon::tokenizer {
namespace {

using Ids = std::vector<int32_t>;

Result<Tokenizer> load(const std::string& path) {
    TENON_TRY(const formats::LoadedGguf loaded, formats::load_gguf(path));
    TENON_TRY(const Vocabulary vocabulary, formats::parse_vocabulary(loaded.gguf));
    return Tokenizer::create(vocabulary);
}

std::string read(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string unspell(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\' || i + 1 == text.size()) {
            out.push_back(text[i]);
            continue;
        }
        switch (const char c = text[++i]; c) {
            case 'n': out.push_back('\n'); break;
            case 't': out.push_back('\t'); break;
            case 'r': out.push_back('\r'); break;
            case 'x': {
                unsigned byte = 0;
                std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
                out.push_back(static_cast<char>(byte));
                i += 2;
                break;
            }
            default: out.push_back(c);
        }
    }
    return out;
}

Ids parse_ids(const std::string& text) {
    std::istringstream stream(text);
    return {std::istream_iterator<int32_t>(stream), {}};
}

std::string streamed(const Tokenizer& tokenizer, const Ids& ids) {
    StreamingDetokenizer stream(tokenizer);
    std::string out;
    for (int32_t id : ids)
        EXPECT_TRUE(stream.push(id, out));
    stream.flush(out);
    return out;
}

TEST(TokenizerGolden, SmolLm2GivesTheIdsOfLlamaCpp) {
    const char* model = std::getenv("TENON_TEST_MODEL");
    if (model == nullptr) GTEST_SKIP() << "TENON_TEST_MODEL names no SmolLM2 GGUF";
    const auto tokenizer = load(model);
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    if (tokenizer->size() != 49152 || tokenizer->token_text(1) != "<|im_start|>") {
        GTEST_SKIP() << "TENON_TEST_MODEL is no SmolLM2: " << model;
    }
    std::istringstream lines(read(TENON_SOURCE_DIR "/tests/golden/tokenizer/smollm2.tsv"));
    std::string flag, text, ids;
    int count = 0;
    while (std::getline(lines, flag, '\t') && std::getline(lines, text, '\t') &&
           std::getline(lines, ids)) {
        const auto seen = tokenizer->encode(unspell(text), {.parse_special = flag == "parse"});
        ASSERT_TRUE(seen) << seen.error().message;
        EXPECT_EQ(*seen, parse_ids(ids)) << flag << ": " << text;
        EXPECT_EQ(streamed(*tokenizer, *seen), *tokenizer->decode(*seen));
        ++count;
    }
    EXPECT_EQ(count, 60);
    EXPECT_TRUE(tokenizer->is_eog(2));  // <|im_end|>
    EXPECT_TRUE(tokenizer->is_eog(0));  // <|endoftext|>
    EXPECT_FALSE(tokenizer->is_eog(1));
}

// Vocabularies of every kind that tests/golden/tokenizer/make_small.py trained, ids from llama.cpp.
TEST(TokenizerGolden, SmallVocabulariesOfEveryKindGiveTheIdsOfLlamaCpp) {
    const std::string folder = TENON_SOURCE_DIR "/tests/golden/tokenizer/";
    std::istringstream lines(read(folder + "small.tsv"));
    std::string kind, flags, text, ids, open_kind;
    std::optional<Tokenizer> tokenizer;
    std::set<std::string> kinds;
    while (std::getline(lines, kind, '\t') && std::getline(lines, flags, '\t') &&
           std::getline(lines, text, '\t') && std::getline(lines, ids)) {
        if (kind != open_kind) {
            const size_t colon = kind.find(':');
            const auto loaded = formats::load_gguf(folder + kind.substr(0, colon) + ".gguf");
            ASSERT_TRUE(loaded) << loaded.error().message;
            auto vocabulary = formats::parse_vocabulary(loaded->gguf);
            ASSERT_TRUE(vocabulary) << vocabulary.error().message;
            if (colon != std::string::npos)
                vocabulary->pre = std::string_view(kind).substr(colon + 1);
            auto made = Tokenizer::create(*vocabulary);
            ASSERT_TRUE(made) << made.error().message;
            tokenizer.emplace(std::move(made).value());
            open_kind = kind;
            kinds.insert(kind);
        }
        const auto seen = tokenizer->encode(unspell(text), {.add_special = (flags[0] & 1) != 0,
                                                            .parse_special = (flags[0] & 2) != 0});
        ASSERT_TRUE(seen) << seen.error().message;
        EXPECT_EQ(*seen, parse_ids(ids)) << kind << " flags " << flags << ": " << text;
        EXPECT_EQ(streamed(*tokenizer, *seen), *tokenizer->decode(*seen, {.continues = true}));
    }
    EXPECT_EQ(kinds.size(), 16u);
}

TEST(TokenizerGolden, PublishedVocabulariesGiveTheIdsOfTheirModels) {
    const char* folder = std::getenv("TENON_TEST_VOCABS");
    if (folder == nullptr)
        GTEST_SKIP() << "TENON_TEST_VOCABS names no folder with ggml-vocab-*.gguf";
    for (const std::string name :
         {"gpt-2", "llama-bpe", "qwen2", "qwen35", "deepseek-llm", "deepseek-coder", "starcoder",
          "refact", "command-r", "mpt", "falcon", "llama-spm", "phi-3", "bert-bge"}) {
        const std::string path =
            std::string(folder).append("/ggml-vocab-").append(name).append(".gguf");
        const auto tokenizer = load(path);
        ASSERT_TRUE(tokenizer) << tokenizer.error().message;
        std::string texts = read(path + ".inp");
        std::istringstream answers(read(path + ".out"));
        const std::string separator = "\n__ggml_vocab_test__\n";
        int count = 0;
        std::string line;
        for (size_t at = 0; std::getline(answers, line); ++count) {
            const size_t end = texts.find(separator, at);
            ASSERT_NE(end, std::string::npos) << path << " has more lines than texts";
            const std::string text = texts.substr(at, end - at);
            at = end + separator.size();
            const auto ids = tokenizer->encode(text, {.add_special = false});
            ASSERT_TRUE(ids) << ids.error().message;
            EXPECT_EQ(*ids, parse_ids(line)) << name << ": " << text;
            if (name == "bert-bge") continue;  // case and accents are gone
            EXPECT_EQ(*tokenizer->decode(*ids), text) << name;
        }
        EXPECT_GE(count, 40) << path;
    }
}

}  // namespace
}  // namespace tenon::tokenizer
