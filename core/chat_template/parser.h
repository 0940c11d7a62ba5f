// Tokens to tree. What the subset lacks is refused here, by name and line.
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/chat_template/ast.h"
#include "core/chat_template/limits.h"

namespace tenon::chat_template {

Result<Body> parse(std::string_view source, const Limits& limits);

}  // namespace tenon::chat_template
