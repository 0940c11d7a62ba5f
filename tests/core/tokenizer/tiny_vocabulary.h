// A small byte-level vocabulary made in memory: 256 bytes, some merges, special tokens.
#pragma once

#include <algorithm>
#include <deque>
#include <random>
#include <set>
#include <string>

#include "core/tokenizer/byte_alphabet.h"
#include "core/tokenizer/vocabulary.h"

namespace tenon::tokenizer {

// Owns the texts that its Vocabulary views. Ids 0 to 255 are the bytes in order of their number.
class TinyVocabulary {
public:
    TinyVocabulary() {
        vocabulary.model = "gpt2";
        vocabulary.pre = "gpt-2";
        for (int byte = 0; byte < 256; ++byte) {
            std::string spelled;
            append_spelling(static_cast<uint8_t>(byte), spelled);
            add(spelled, TokenType::kNormal);
        }
    }

    int32_t add(const std::string& text, TokenType type) {
        vocabulary.tokens.push_back(keep(text));
        vocabulary.types.push_back(type);
        return static_cast<int32_t>(vocabulary.tokens.size()) - 1;
    }

    // Both parts must be tokens; the joined text becomes one if it is none. Returns its id.
    int32_t merge(const std::string& left, const std::string& right) {
        vocabulary.merges.push_back(keep(left + " " + right));
        const auto& tokens = vocabulary.tokens;
        const auto found = std::find(tokens.begin(), tokens.end(), left + right);
        if (found != tokens.end()) return static_cast<int32_t>(found - tokens.begin());
        return add(left + right, TokenType::kNormal);
    }

    // `count` different merges of random tokens made so far, of short texts over few letters.
    void grow(std::mt19937& random, size_t count) {
        std::vector<std::string> pool = {"a", "b", "c", "\xC4\xA0", "1", "\xC3\xA9" /* byte E9 */};
        std::set<std::string> made;
        while (made.size() < count) {
            const std::string left = pool[random() % pool.size()];
            const std::string right = pool[random() % pool.size()];
            if (left.size() + right.size() > 12 || !made.insert(left + " " + right).second)
                continue;
            merge(left, right);
            if (std::find(pool.begin(), pool.end(), left + right) == pool.end())
                pool.push_back(left + right);
        }
    }

    Vocabulary vocabulary;

private:
    std::string_view keep(const std::string& text) { return texts_.emplace_back(text); }
    std::deque<std::string> texts_;  // addresses stay
};

}  // namespace tenon::tokenizer
