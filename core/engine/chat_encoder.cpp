#include "core/engine/chat_encoder.h"

#include <algorithm>

namespace tenon::engine {

namespace {

// Ends the text behind the last message's content, without what the template writes after it.
Status cut_after_final(const std::string& content, chat_template::Rendered& rendered) {
    constexpr std::string_view kSpace = " \t\r\n";
    const size_t last = content.find_last_not_of(kSpace);
    if (last == std::string::npos) {
        return Error{Code::kInvalid, "the final message is empty, there is nothing to continue"};
    }
    const size_t first = content.find_first_not_of(kSpace);
    const std::string core = content.substr(first, last + 1 - first);
    const size_t at = rendered.text.rfind(core);
    if (at == std::string::npos) {
        return Error{Code::kInvalid, "the template changes the final message, it cannot continue"};
    }
    size_t end = at + core.size();
    // Spaces behind the content stay when the template kept them.
    const std::string_view tail = std::string_view(content).substr(last + 1);
    if (rendered.text.compare(end, tail.size(), tail) == 0) {
        for (const auto& segment : rendered.segments) {
            if (segment.is_user && segment.begin <= at && end + tail.size() <= segment.end) {
                end += tail.size();
                break;
            }
        }
    }
    rendered.text.resize(end);
    while (!rendered.segments.empty() && rendered.segments.back().begin >= end)
        rendered.segments.pop_back();
    if (!rendered.segments.empty()) {
        rendered.segments.back().end = std::min(rendered.segments.back().end, end);
    }
    return {};
}

}  // namespace

Result<EncodedChat> encode_chat(const LoadedModel& model, const ChatInput& input) {
    if (!model.chat_template) return Error{Code::kUnsupported, "the model has no chat template"};
    const tokenizer::Tokenizer& tokenizer = model.tokenizer;
    chat_template::RenderOptions options;
    options.add_generation_prompt = input.add_generation_prompt && !input.continue_final_message;
    if (tokenizer.bos()) options.bos_token = tokenizer.token_text(*tokenizer.bos());
    if (tokenizer.eos()) options.eos_token = tokenizer.token_text(*tokenizer.eos());
    options.variables = input.variables;
    Result<chat_template::Rendered> result = model.chat_template->render(input.messages, options);
    if (!result.ok()) {
        Error error = std::move(result).error();
        if (!chat_template::is_refusal(error)) error.code = Code::kData;
        return error;
    }
    chat_template::Rendered rendered = std::move(result).value();
    if (input.continue_final_message && !input.messages.empty()) {
        TENON_CHECK(cut_after_final(input.messages.back().content, rendered));
    }
    std::vector<tokenizer::Segment> segments;
    segments.reserve(rendered.segments.size());
    const std::string_view text = rendered.text;
    for (const auto& segment : rendered.segments) {
        segments.push_back(
            {text.substr(segment.begin, segment.end - segment.begin), !segment.is_user});
    }
    // A template that writes the BOS itself gets no second one.
    const bool writes_bos = !options.bos_token.empty() && text.starts_with(options.bos_token) &&
                            !rendered.segments.front().is_user;
    TENON_TRY(std::vector<int32_t> ids,
              tokenizer.encode_segments(segments, {.add_special = !writes_bos}));
    return EncodedChat{std::move(rendered.text), std::move(ids)};
}

}  // namespace tenon::engine
