#include "core/tokenizer/detokenizer.h"

#include <fmt/format.h>

namespace tenon::tokenizer {

Status StreamingDetokenizer::push(int32_t id, std::string& out) {
    if (!tokenizer_->contains(id)) {
        return Error{Code::kInvalid,
                     fmt::format("token id {} to decode is outside the vocabulary of {} "
                                 "tokens",
                                 id, tokenizer_->size())};
    }
    if (!(skip_special_ && tokenizer_->is_special(id))) {
        stream_.append(tokenizer_->token_bytes(id), out);
    }
    return {};
}

}  // namespace tenon::tokenizer
