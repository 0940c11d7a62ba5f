// What OpenAI's two generating endpoints have in common on the way out.
#pragma once

#include "core/base/json_writer.h"
#include "core/server/answer_form.h"

#include <string>
#include <string_view>

namespace tenon::server {

// {"prompt_tokens","completion_tokens","total_tokens","prompt_tokens_details":{"cached_tokens"}}
void write_usage(JsonWriter& json, const Usage& usage);
// "stop" or "length".
const char* finish_reason_of(const Choice& choice);
// The text as a JSON string.
std::string quoted(std::string_view text);
// {"id":..,"object":..,"created":..,"model":.. without the closing brace.
std::string open_object(const std::string& id, std::string_view object, int64_t created,
                        const std::string& model);

}  // namespace tenon::server
