// One answer: prompt ids in, text out, token by token.
#pragma once

#include "core/engine/generation.h"
#include "core/engine/model_runner.h"
#include "core/tokenizer/tokenizer.h"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::engine {

struct GenerateRequest {
    std::vector<int32_t> prompt;
    uint32_t max_tokens = 0;  // 0: until the context is full
    sampling::SamplingParams sampling;
    std::vector<std::string> stop;
};

struct Generated {
    std::vector<int32_t> tokens;  // without the one that ended the generation
    std::string text;             // without the stop string
    FinishReason finish = FinishReason::kLength;
    double prompt_ms = 0;  // until the first token
    double decode_ms = 0;  // all others
};

// Generates on a runner that draws tokens. `on_text` gets each piece of valid UTF-8 as soon as no
// stop string can begin in it; its pieces joined are the text. A cancelled generation is no error:
// it returns what it has.
Result<Generated> generate(ModelRunner& runner, const tokenizer::Tokenizer& tokenizer,
                           const GenerateRequest& request,
                           const std::function<void(std::string_view)>& on_text = {});

}  // namespace tenon::engine
