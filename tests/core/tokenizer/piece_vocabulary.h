// Vocabularies of SentencePiece and WordPiece kind, made in memory.
#pragma once

#include <algorithm>
#include <ctime>
#include <deque>
#include <limits>
#include <string>

#include <gtest/gtest.h>

#include "core/tokenizer/tokenizer.h"

namespace tenon::tokenizer {

// Owns the texts that its Vocabulary views.
class PieceVocabulary {
public:
    explicit PieceVocabulary(std::string_view model) { vocabulary.model = model; }

    int32_t add(const std::string& text, float score = 0, TokenType type = TokenType::kNormal) {
        vocabulary.tokens.push_back(texts_.emplace_back(text));
        vocabulary.scores.push_back(score);
        vocabulary.types.push_back(type);
        return static_cast<int32_t>(vocabulary.tokens.size()) - 1;
    }

    void add_bytes() {
        static constexpr char kDigits[] = "0123456789ABCDEF";
        for (size_t byte = 0; byte < 256; ++byte)
            add(std::string("<0x") + kDigits[byte >> 4] + kDigits[byte & 15] + ">", 0,
                TokenType::kByte);
    }

    Tokenizer make() const {
        auto tokenizer = Tokenizer::create(vocabulary);
        EXPECT_TRUE(tokenizer) << tokenizer.error().message;
        return std::move(tokenizer).value();
    }

    // What create() says; empty: it takes the vocabulary.
    std::string refusal() const {
        const auto tokenizer = Tokenizer::create(vocabulary);
        return tokenizer.ok() ? "" : tokenizer.error().message;
    }

    Vocabulary vocabulary;

private:
    std::deque<std::string> texts_;  // addresses stay
};

inline std::vector<int32_t> plain_ids(const Tokenizer& tokenizer, std::string_view text) {
    auto ids = tokenizer.encode(text, {.add_special = false});
    EXPECT_TRUE(ids) << ids.error().message;
    return std::move(ids).value();
}

// Eight times the text may cost at most 32 times the processor time, the best of three runs.
inline void expect_linear(const Tokenizer& tokenizer, std::string_view unit) {
    const auto ticks = [&](size_t bytes) {
        std::string text;
        while (text.size() < bytes)
            text += unit;
        std::clock_t best = std::numeric_limits<std::clock_t>::max();
        for (int run = 0; run < 3; ++run) {
            const std::clock_t start = std::clock();
            EXPECT_TRUE(tokenizer.encode(text));
            best = std::min(best, std::clock() - start);
        }
        return best;
    };
    const std::clock_t one = ticks(1u << 14);
    EXPECT_LT(ticks(1u << 17), one * 32 + CLOCKS_PER_SEC / 100) << "'" << unit << "'";
}

}  // namespace tenon::tokenizer
