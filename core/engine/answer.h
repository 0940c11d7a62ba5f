// The answer of one sequence as it grows: from drawn tokens to text, and when it ends.
#pragma once

#include "core/engine/generation.h"
#include "core/engine/stop_matcher.h"
#include "core/tokenizer/detokenizer.h"
#include "core/tokenizer/tokenizer.h"

#include <optional>
#include <string>
#include <vector>

namespace tenon::engine {

// One thread. The tokenizer and the request must outlive it.
class Answer {
public:
    Answer(const tokenizer::Tokenizer& tokenizer, const GenerationRequest& request);

    // Takes the token that was drawn; appends to `text` what is certain of the answer's text. The
    // reason when the answer ends with it. In this order: a token that ends (EOS, stop ids), a stop
    // string, the length. A token that ends is not part of the answer.
    std::optional<FinishReason> push(int32_t token, std::string& text);
    // The answer ends for another reason: appends what was held back.
    void flush(std::string& text);

    // Of the answer, without the token that ended it.
    const std::vector<int32_t>& tokens() const noexcept { return tokens_; }
    // Stop string, or text of the stop token, that ended it; nothing for EOS and length.
    const std::optional<std::string>& matched() const noexcept { return matched_; }
    // Whether the next token must not end the answer.
    bool must_go_on() const noexcept { return tokens_.size() < request_->min_tokens; }
    // Tokens that push() would end at.
    const std::vector<int32_t>& ending_tokens() const noexcept { return ending_; }

private:
    const tokenizer::Tokenizer* tokenizer_;
    const GenerationRequest* request_;
    std::vector<int32_t> ending_;  // sorted
    tokenizer::StreamingDetokenizer detokenizer_;
    StopMatcher matcher_;
    std::vector<int32_t> tokens_;
    std::optional<std::string> matched_;
};

}  // namespace tenon::engine
