// Tokens with a part to play that files name by key or just by their text.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "core/base/result.h"
#include "core/tokenizer/algorithm.h"

namespace tenon::tokenizer {

struct KnownTokens {
    // Fill in the middle: what stands before the gap, behind it, and where the answer begins; then
    // what fills up, the name of a repository, and the line between two files.
    std::optional<int32_t> fim_prefix, fim_suffix, fim_middle, fim_pad, fim_repo, fim_separator;
    std::optional<int32_t> end_of_turn, end_of_message;
    // Around the calls of tools that a model makes, and around what the tools answered.
    std::optional<int32_t> tool_calls_begin, tool_calls_end, tool_results_begin, tool_results_end;
};

// Fills in what the keys of `vocabulary` name, then what the texts of its tokens tell. Tokens that
// steer the model become control tokens in `tokens`, whatever the file says of their type: plain text
// must not form them. Appends the ids that end a generation, but for EOS, to `end`. llama.cpp knows
// the same texts, so both stop at the same token. Refuses ids outside the vocabulary.
Status find_known_tokens(const Vocabulary& vocabulary, TokenList& tokens, KnownTokens& known,
                         std::vector<int32_t>& end);

// `id` as an id of `tokens`, or nothing. Refuses ids outside the vocabulary; `name` says which it is.
Result<std::optional<int32_t>> check_id(const TokenList& tokens, const char* name,
                                        std::optional<int64_t> id);

}  // namespace tenon::tokenizer
