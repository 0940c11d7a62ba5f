// Byte-level byte-pair encoding (model "gpt2"): split rules cut words, merges join their bytes.
#pragma once

#include "core/tokenizer/algorithm.h"

namespace tenon::tokenizer {

// Refuses unknown split rules, and merges of or into what is no token.
Result<std::unique_ptr<Algorithm>> make_bpe(const AlgorithmInput& input);

}  // namespace tenon::tokenizer
