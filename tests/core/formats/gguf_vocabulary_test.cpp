#include "core/formats/gguf_vocabulary.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/core/formats/gguf_builder.h"

namespace tenon::formats {
namespace {

std::string vocabulary_refusal(const GgufBuilder& builder) {
    const std::string bytes = builder.bytes();
    const auto file = parse_gguf(view(bytes));
    if (!file.ok()) return "file: " + file.error().message;
    const auto vocabulary = parse_vocabulary(*file);
    return vocabulary.ok() ? "loaded" : vocabulary.error().message;
}

TEST(GgufVocabulary, CollectsTheTokenizerKeysAsViews) {
    const std::string bytes =
        GgufBuilder()
            .text("tokenizer.ggml.model", "gpt2")
            .text("tokenizer.ggml.pre", "smollm")
            .texts("tokenizer.ggml.tokens", {"<s>", "a", "b", "ab"})
            .numbers("tokenizer.ggml.token_type", std::vector<int32_t>{3, 1, 1, 1})
            .numbers("tokenizer.ggml.scores", std::vector<float>{0, 1, 2, 3})
            .texts("tokenizer.ggml.merges", {"a b"})
            .number("tokenizer.ggml.bos_token_id", 0u)
            .number("tokenizer.ggml.eos_token_id", 3u)
            .number("tokenizer.ggml.unknown_token_id", -1)
            .number("tokenizer.ggml.eom_token_id", 2u)
            .number("tokenizer.ggml.prefix_token_id", 1u)
            .number("tokenizer.ggml.fim_sep_token_id", 2u)
            .number("tokenizer.ggml.add_bos_token", false)
            .number("tokenizer.ggml.add_space_prefix", false)
            .number("tokenizer.ggml.remove_extra_whitespaces", true)
            .number("tokenizer.ggml.normalizer.lowercase", false)
            .numbers("tokenizer.ggml.precompiled_charsmap", std::vector<int8_t>{1, -1})
            .text("general.name", "Phi-3 Mini")
            .bytes();
    const auto file = parse_gguf(view(bytes));
    ASSERT_TRUE(file.ok()) << file.error().message;
    const auto vocabulary = parse_vocabulary(*file);
    ASSERT_TRUE(vocabulary.ok()) << vocabulary.error().message;
    EXPECT_EQ(vocabulary->model, "gpt2");
    EXPECT_EQ(vocabulary->pre, "smollm");
    EXPECT_EQ(vocabulary->tokens, (std::vector<std::string_view>{"<s>", "a", "b", "ab"}));
    EXPECT_GE(vocabulary->tokens[3].data(), bytes.data());
    EXPECT_LT(vocabulary->tokens[3].data(), bytes.data() + bytes.size());
    EXPECT_EQ(vocabulary->types[0], tokenizer::TokenType::kControl);
    EXPECT_EQ(vocabulary->scores[2], 2.0f);
    EXPECT_EQ(vocabulary->merges, (std::vector<std::string_view>{"a b"}));
    EXPECT_EQ(vocabulary->bos, 0);
    EXPECT_EQ(vocabulary->eos, 3);
    EXPECT_EQ(vocabulary->unk, -1);
    EXPECT_FALSE(vocabulary->pad.has_value());
    EXPECT_EQ(vocabulary->add_bos, false);
    EXPECT_FALSE(vocabulary->add_eos.has_value());
    EXPECT_EQ(vocabulary->eom, 2);
    EXPECT_EQ(vocabulary->fim_prefix, 1);
    EXPECT_EQ(vocabulary->fim_separator, 2);
    EXPECT_EQ(vocabulary->add_space_prefix, false);
    EXPECT_TRUE(vocabulary->remove_extra_whitespaces);
    EXPECT_FALSE(vocabulary->lowers_case);
    EXPECT_FALSE(vocabulary->strips_accents.has_value());
    EXPECT_EQ(vocabulary->charsmap, std::string_view("\x01\xFF", 2));
    EXPECT_TRUE(vocabulary->strips_after_special);
    EXPECT_FALSE(vocabulary->strips_before_mask);
}

TEST(GgufVocabulary, RefusesWhatDoesNotFit) {
    EXPECT_EQ(vocabulary_refusal(GgufBuilder()),
              "key tokenizer.ggml.model is missing; a string is wanted");
    EXPECT_EQ(vocabulary_refusal(GgufBuilder().text("tokenizer.ggml.model", "gpt2")),
              "key tokenizer.ggml.tokens is missing; an array of string is wanted");
    EXPECT_EQ(
        vocabulary_refusal(
            GgufBuilder().text("tokenizer.ggml.model", "gpt2").texts("tokenizer.ggml.tokens", {})),
        "key tokenizer.ggml.tokens is empty; at least one token is wanted");
    const auto two_tokens = [] {
        return GgufBuilder()
            .text("tokenizer.ggml.model", "gpt2")
            .texts("tokenizer.ggml.tokens", {"a", "b"});
    };
    EXPECT_EQ(vocabulary_refusal(two_tokens()), "loaded");
    EXPECT_EQ(
        vocabulary_refusal(two_tokens().numbers("tokenizer.ggml.scores", std::vector<float>{1})),
        "key tokenizer.ggml.scores has 1 entries; tokenizer.ggml.tokens has 2");
    EXPECT_EQ(vocabulary_refusal(
                  two_tokens().numbers("tokenizer.ggml.token_type", std::vector<float>{1, 1})),
              "key tokenizer.ggml.token_type is an array of f32; an array of i32 is wanted");
    EXPECT_EQ(vocabulary_refusal(two_tokens().text("tokenizer.ggml.precompiled_charsmap", "x")),
              "key tokenizer.ggml.precompiled_charsmap is no array of bytes");
    EXPECT_EQ(vocabulary_refusal(two_tokens().text("tokenizer.ggml.bos_token_id", "1")),
              "key tokenizer.ggml.bos_token_id is a string; an i64 is wanted");
}

}  // namespace
}  // namespace tenon::formats
