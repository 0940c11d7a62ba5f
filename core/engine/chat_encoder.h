// A conversation through the model's chat template to token ids.
#pragma once

#include "core/engine/loaded_model.h"

#include <string>
#include <utility>
#include <vector>

namespace tenon::engine {

struct ChatInput {
    std::vector<chat_template::Message> messages;
    bool add_generation_prompt = true;
    // The last message is the beginning of the answer: its end is not written.
    bool continue_final_message = false;
    std::vector<std::pair<std::string, chat_template::Value>> variables;
};

struct EncodedChat {
    std::string text;
    std::vector<int32_t> ids;
};

// Text that users wrote forms no special tokens. The BOS comes once, whether the template writes it
// or the tokenizer. kUnsupported: the model has no template. kInvalid: the template refuses the
// conversation. kData: the template fails or uses up its limits.
Result<EncodedChat> encode_chat(const LoadedModel& model, const ChatInput& input);

}  // namespace tenon::engine
