#include "core/server/responses_form.h"

#include "core/server/openai_json.h"
#include "core/server/request_ids.h"

#include <fmt/format.h>

namespace tenon::server {

namespace {

std::string part(std::string_view text) {
    return R"({"type":"output_text","text":)" + quoted(text) +
           R"(,"annotations":[],"logprobs":[]})";
}

std::string usage_json(const Usage& usage) {
    return fmt::format(R"({{"input_tokens":{},"input_tokens_details":{{"cached_tokens":{}}},)"
                       R"("output_tokens":{},"output_tokens_details":{{"reasoning_tokens":0}},)"
                       R"("total_tokens":{}}})",
                       usage.prompt_tokens, usage.cached_tokens, usage.output_tokens,
                       usage.total());
}

const char* status_of(const Choice& choice) {
    const bool is_length = choice.finish && choice.finish->reason == engine::FinishReason::kLength;
    return is_length ? "incomplete" : "completed";
}

}  // namespace

ResponsesForm::ResponsesForm(ResponsesEcho echo)
    : id_(make_id("resp_")),
      message_id_(make_id("msg_")),
      created_(unix_time()),
      echo_(std::move(echo)) {}

std::string ResponsesForm::response(std::string_view status, std::string_view output,
                                    std::string_view usage) const {
    const bool is_incomplete = status == "incomplete";
    return fmt::format(
        R"({{"id":"{}","object":"response","created_at":{},"status":"{}","background":false,)"
        R"("error":null,"incomplete_details":{},"instructions":{},"max_output_tokens":{},)"
        R"("max_tool_calls":null,"metadata":{{}},"model":{},"output":[{}],)"
        R"("parallel_tool_calls":true,"previous_response_id":null,)"
        R"("reasoning":{{"effort":null,"summary":null}},"service_tier":"default","store":false,)"
        R"("temperature":{},"text":{{"format":{{"type":"text"}}}},"tool_choice":"auto","tools":[],)"
        R"("top_logprobs":0,"top_p":{},"truncation":"disabled","usage":{},"user":null}})",
        id_, created_, status, is_incomplete ? R"({"reason":"max_output_tokens"})" : "null",
        echo_.instructions ? quoted(*echo_.instructions) : "null",
        echo_.max_output_tokens ? std::to_string(*echo_.max_output_tokens) : "null",
        quoted(echo_.model), output, echo_.temperature, echo_.top_p, usage);
}

std::string ResponsesForm::item(std::string_view status, std::string_view content) const {
    return fmt::format(R"({{"id":"{}","type":"message","status":"{}","role":"assistant",)"
                       R"("content":[{}]}})",
                       message_id_, status, content);
}

void ResponsesForm::event(std::string_view type, std::string_view fields, std::string& out) {
    fmt::format_to(std::back_inserter(out),
                   "event: {}\ndata: {{\"type\":\"{}\",\"sequence_number\":{},{}}}\n\n", type, type,
                   sequence_++, fields);
}

std::string ResponsesForm::whole(const std::vector<Choice>& choices, const Usage& usage) {
    const Choice& choice = choices.front();
    const char* status = status_of(choice);
    return response(status, item(status, part(choice.text)), usage_json(usage));
}

void ResponsesForm::begin(std::string& out) {
    const std::string started = "\"response\":" + response("in_progress", "", "null");
    event("response.created", started, out);
    event("response.in_progress", started, out);
    event("response.output_item.added", "\"output_index\":0,\"item\":" + item("in_progress", ""),
          out);
    event("response.content_part.added",
          fmt::format(R"("item_id":"{}","output_index":0,"content_index":0,"part":{})", message_id_,
                      part("")),
          out);
}

void ResponsesForm::delta(const Choice&, const engine::OutputDelta& delta, std::string& out) {
    if (delta.text.empty()) return;
    event("response.output_text.delta",
          fmt::format(R"("item_id":"{}","output_index":0,"content_index":0,"delta":{},)"
                      R"("logprobs":[])",
                      message_id_, quoted(delta.text)),
          out);
}

void ResponsesForm::end(const std::vector<Choice>& choices, const Usage& usage, std::string& out) {
    const Choice& choice = choices.front();
    const char* status = status_of(choice);
    const std::string text_part = part(choice.text);
    const std::string place =
        fmt::format(R"("item_id":"{}","output_index":0,"content_index":0,)", message_id_);
    event("response.output_text.done",
          place + "\"text\":" + quoted(choice.text) + ",\"logprobs\":[]", out);
    event("response.content_part.done", place + "\"part\":" + text_part, out);
    const std::string whole_item = item(status, text_part);
    event("response.output_item.done", "\"output_index\":0,\"item\":" + whole_item, out);
    event(fmt::format("response.{}", status),
          "\"response\":" + response(status, whole_item, usage_json(usage)), out);
}

void ResponsesForm::error(const ApiError& error, std::string& out) const {
    fmt::format_to(std::back_inserter(out),
                   "event: error\ndata: {{\"type\":\"error\",\"sequence_number\":{},\"code\":{},"
                   "\"message\":{},\"param\":null,\"retryable\":{}}}\n\n",
                   sequence_, quoted(error.code), quoted(error.message),
                   error.code == "worker_lost");
}

}  // namespace tenon::server
