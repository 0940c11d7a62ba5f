// JSON in and out of template values.
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/chat_template/value.h"

namespace tenon::chat_template {

// All strings, keys included, are marked as user text. Refuses more than 64 levels, numbers beyond
// 64 bits, broken UTF-8 and anything behind the value; a key that comes twice keeps its last value.
Result<Value> parse_json(std::string_view bytes);

}  // namespace tenon::chat_template
