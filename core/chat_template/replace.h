// str.replace, shared by the filter and the method.
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/chat_template/runtime.h"

namespace tenon::chat_template {

// `count` < 0 replaces all. An empty `from` stands between all code points, as in Python.
Result<Value> replace_text(Runtime& runtime, const Text& text, std::string_view from,
                           const Text& to, int64_t count);

}  // namespace tenon::chat_template
