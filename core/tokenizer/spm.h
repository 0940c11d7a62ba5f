// SentencePiece BPE (model "llama"): of all neighbours that together are a token, those whose token
// has the best score join first; what no token spells becomes byte tokens.
#pragma once

#include "core/tokenizer/algorithm.h"

namespace tenon::tokenizer {

Result<std::unique_ptr<Algorithm>> make_spm(const AlgorithmInput& input);

}  // namespace tenon::tokenizer
