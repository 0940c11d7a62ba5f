// The tokenizer that a GGUF file carries, as the tokenizer room wants it.
#pragma once

#include "core/base/result.h"
#include "core/formats/gguf.h"
#include "core/tokenizer/vocabulary.h"

namespace tenon::formats {

// Collects the keys under tokenizer.ggml. as views into the file. Refuses a file without tokens,
// key types other than published files have, and lists whose lengths disagree; what the values mean
// is checked by Tokenizer::create.
Result<tokenizer::Vocabulary> parse_vocabulary(const GgufFile& file);

}  // namespace tenon::formats
