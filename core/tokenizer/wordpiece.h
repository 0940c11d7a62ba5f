// WordPiece (model "bert"): words by white space and punctuation, each cut greedily into the longest
// tokens; a word that does not come out even is one unknown token.
#pragma once

#include "core/tokenizer/algorithm.h"

namespace tenon::tokenizer {

// Refuses a vocabulary without an unknown token, and the limits of text_trie.h.
Result<std::unique_ptr<Algorithm>> make_wordpiece(const AlgorithmInput& input);

}  // namespace tenon::tokenizer
