#include "core/server/openai_json.h"

#include <fmt/format.h>

namespace tenon::server {

void write_usage(JsonWriter& json, const Usage& usage) {
    json.begin_object();
    json.field("prompt_tokens", usage.prompt_tokens);
    json.field("completion_tokens", usage.output_tokens).field("total_tokens", usage.total());
    json.key("prompt_tokens_details").begin_object();
    json.field("cached_tokens", usage.cached_tokens).end_object().end_object();
}

const char* finish_reason_of(const Choice& choice) {
    return choice.finish ? engine::name_of(choice.finish->reason) : "stop";
}

std::string quoted(std::string_view text) {
    JsonWriter json;
    json.value(text);
    return json.text();
}

std::string open_object(const std::string& id, std::string_view object, int64_t created,
                        const std::string& model) {
    return fmt::format(R"({{"id":"{}","object":"{}","created":{},"model":{})", id, object, created,
                       quoted(model));
}

}  // namespace tenon::server
