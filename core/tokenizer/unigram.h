// SentencePiece unigram (model "t5"): of all ways to cut a text into tokens the one whose scores add
// up highest, after the model's own normaliser.
#pragma once

#include "core/tokenizer/algorithm.h"

namespace tenon::tokenizer {

// Refuses a vocabulary without an unknown token, a broken normaliser, and the limits of text_trie.h.
Result<std::unique_ptr<Algorithm>> make_unigram(const AlgorithmInput& input);

}  // namespace tenon::tokenizer
