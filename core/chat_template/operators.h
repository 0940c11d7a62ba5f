// Python's operators on values.
#pragma once

#include "core/base/result.h"
#include "core/chat_template/ast.h"
#include "core/chat_template/runtime.h"

namespace tenon::chat_template {

// a op b for the arithmetic operators (kAdd to kPow).
Result<Value> apply_arithmetic(Runtime& runtime, Op op, const Value& a, const Value& b);
// a op b for the comparisons (kEq to kNotIn).
Result<bool> apply_comparison(Runtime& runtime, Op op, const Value& a, const Value& b);
Result<Value> negate(const Value& value);

// format % values: %s %r %d %i %f %x %X %o %c %%, with flags, width and precision.
Result<Value> format_percent(Runtime& runtime, const Text& format, const Value& values);

// `text` with & < > ' " replaced as HTML wants.
Text escape_html(const Text& text);

}  // namespace tenon::chat_template
