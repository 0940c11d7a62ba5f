#include "core/server/anthropic_form.h"

#include "core/server/openai_json.h"
#include "core/server/request_ids.h"
#include "core/server/sse_writer.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::server {

namespace {

// Tokens read from the cache are counted apart from the input, as this API has it.
std::string usage_json(const Usage& usage) {
    return fmt::format(R"({{"input_tokens":{},"cache_creation_input_tokens":0,)"
                       R"("cache_read_input_tokens":{},"output_tokens":{}}})",
                       usage.prompt_tokens - std::min(usage.prompt_tokens, usage.cached_tokens),
                       usage.cached_tokens, usage.output_tokens);
}

constexpr const char* kNoStop = R"("stop_reason":null,"stop_sequence":null)";

}  // namespace

AnthropicForm::AnthropicForm(std::string model, std::vector<std::string> stops,
                             uint64_t prompt_tokens)
    : id_(make_id("msg_")),
      model_(std::move(model)),
      stops_(std::move(stops)),
      prompt_tokens_(prompt_tokens) {}

std::string AnthropicForm::stop_of(const Choice& choice) const {
    const bool is_length = choice.finish && choice.finish->reason == engine::FinishReason::kLength;
    if (is_length) return R"("stop_reason":"max_tokens","stop_sequence":null)";
    const bool is_string =
        choice.finish && choice.finish->matched &&
        std::find(stops_.begin(), stops_.end(), *choice.finish->matched) != stops_.end();
    if (!is_string) return R"("stop_reason":"end_turn","stop_sequence":null)";
    return R"("stop_reason":"stop_sequence","stop_sequence":)" + quoted(*choice.finish->matched);
}

std::string AnthropicForm::message(const std::string& content, const std::string& stop,
                                   const std::string& usage) const {
    return fmt::format(R"({{"id":"{}","type":"message","role":"assistant","model":{},)"
                       R"("content":{},{},"usage":{}}})",
                       id_, quoted(model_), content, stop, usage);
}

std::string AnthropicForm::whole(const std::vector<Choice>& choices, const Usage& usage) {
    const Choice& choice = choices.front();
    return message(R"([{"type":"text","text":)" + quoted(choice.text) + "}]", stop_of(choice),
                   usage_json(usage));
}

void AnthropicForm::begin(std::string& out) {
    Usage usage;
    usage.prompt_tokens = prompt_tokens_;
    append_event(
        out, "message_start",
        R"({"type":"message_start","message":)" + message("[]", kNoStop, usage_json(usage)) + "}");
    append_event(out, "content_block_start",
                 R"({"type":"content_block_start","index":0,)"
                 R"("content_block":{"type":"text","text":""}})");
    out += ping();
}

void AnthropicForm::delta(const Choice&, const engine::OutputDelta& delta, std::string& out) {
    if (delta.text.empty()) return;
    append_event(out, "content_block_delta",
                 R"({"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":)" +
                     quoted(delta.text) + "}}");
}

void AnthropicForm::end(const std::vector<Choice>& choices, const Usage& usage, std::string& out) {
    append_event(out, "content_block_stop", R"({"type":"content_block_stop","index":0})");
    append_event(out, "message_delta",
                 fmt::format(R"({{"type":"message_delta","delta":{{{}}},"usage":{}}})",
                             stop_of(choices.front()), usage_json(usage)));
    append_event(out, "message_stop", R"({"type":"message_stop"})");
}

void AnthropicForm::error(const ApiError& error, std::string& out) const {
    append_event(out, "error", anthropic_body(error));
}

}  // namespace tenon::server
