#include "core/engine/answer.h"

#include <algorithm>

namespace tenon::engine {

Answer::Answer(const tokenizer::Tokenizer& tokenizer, const GenerationRequest& request)
    : tokenizer_(&tokenizer),
      request_(&request),
      detokenizer_(tokenizer, {.skip_special = request.skip_special}),
      matcher_(request.stop) {
    ending_ = request.stop_token_ids;
    if (!request.ignore_eos) {
        ending_.insert(ending_.end(), tokenizer.eog().begin(), tokenizer.eog().end());
    }
    std::sort(ending_.begin(), ending_.end());
    ending_.erase(std::unique(ending_.begin(), ending_.end()), ending_.end());
}

std::optional<FinishReason> Answer::push(int32_t token, std::string& text) {
    const bool counts = !must_go_on();
    if (counts && std::binary_search(ending_.begin(), ending_.end(), token)) {
        const auto& ids = request_->stop_token_ids;
        if (std::find(ids.begin(), ids.end(), token) != ids.end()) {
            matched_ = std::string(tokenizer_->token_bytes(token));
        }
        flush(text);
        return FinishReason::kStop;
    }
    tokens_.push_back(token);
    std::string piece;
    // Ids come from the model's own logits, all of which the tokenizer knows or spells as nothing.
    if (tokenizer_->contains(token)) (void)detokenizer_.push(token, piece).ok();
    if (!counts) {
        matcher_.skip(piece, text);
    } else if (matcher_.push(piece, text)) {
        matched_ = matcher_.matched();
        if (request_->include_stop) text += *matched_;
        return FinishReason::kStop;
    }
    if (tokens_.size() >= request_->max_tokens) {
        flush(text);
        // The rest of a broken character may complete a stop string.
        return matched_ ? FinishReason::kStop : FinishReason::kLength;
    }
    return std::nullopt;
}

void Answer::flush(std::string& text) {
    std::string rest;
    detokenizer_.flush(rest);
    if (matcher_.push(rest, text)) {
        matched_ = matcher_.matched();
        if (request_->include_stop) text += *matched_;
        return;
    }
    matcher_.flush(text);
}

}  // namespace tenon::engine
