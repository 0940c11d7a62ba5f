// What the algorithms have in common: each turns text without special tokens into ids.
//
// tokenizer_create.cpp picks one by the model's name; the rest of Tokenizer (special tokens, BOS,
// EOS, decoding) does not know which.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/tokenizer/token_table.h"
#include "core/tokenizer/vocabulary.h"

namespace tenon::tokenizer {

// The checked tokens of a vocabulary. Immutable once create() is over: any thread may read.
struct TokenList {
    TokenTable table;
    std::vector<TokenType> types;  // one per token
    std::vector<float> scores;     // finite; empty, or one per token

    int32_t size() const noexcept { return table.size(); }
    TokenType type(int32_t id) const noexcept { return types[static_cast<size_t>(id)]; }
    float score(int32_t id) const noexcept {
        return scores.empty() ? 0.0f : scores[static_cast<size_t>(id)];
    }
    // Control or unknown: never made from plain text.
    bool is_special(int32_t id) const noexcept {
        return type(id) == TokenType::kControl || type(id) == TokenType::kUnknown;
    }
};

// What one call of encode works with; used by one thread, and the algorithm must outlive it.
class AlgorithmSession {
public:
    virtual ~AlgorithmSession() = default;
    // Appends the ids of `text`: any bytes, not empty, all that stands between two special tokens or
    // between one and an end of the whole.
    virtual Status append(std::string_view text, std::vector<int32_t>& out) = 0;
};

// Immutable: any thread may begin a session.
class Algorithm {
public:
    virtual ~Algorithm() = default;
    virtual Result<std::unique_ptr<AlgorithmSession>> begin() const = 0;
    virtual bool uses_jit() const noexcept { return false; }
};

struct AlgorithmInput {
    const TokenList& tokens;  // outlives the algorithm
    const Vocabulary& vocabulary;
    int32_t unknown = -1;          // id for what cannot be spelled; -1: none
    bool add_space_prefix = true;  // a space before the text, as the model's file or family says
    bool use_jit = true;
};

using AlgorithmMaker = Result<std::unique_ptr<Algorithm>> (*)(const AlgorithmInput& input);

// U+2581, which stands for a space in vocabularies that are not byte-level.
inline constexpr std::string_view kSpaceMark = "\xE2\x96\x81";

}  // namespace tenon::tokenizer
