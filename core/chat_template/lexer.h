// Splits a template into tokens the way jinja2 does with trim_blocks and lstrip_blocks: newlines
// are normalised, one newline at the end is dropped, `-` and `+` beside a tag control white space.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace tenon::chat_template {

enum class TokenKind : uint8_t {
    kData,           // text: bytes outside of tags
    kVariableBegin,  // {{
    kVariableEnd,    // }}
    kBlockBegin,     // {%
    kBlockEnd,       // %}
    kName,
    kString,   // text: value with escapes resolved
    kInteger,  // integer
    kFloat,    // real
    kOperator,
    kEnd,
};

struct Token {
    TokenKind kind = TokenKind::kEnd;
    uint32_t line = 1;  // 1-based
    std::string text;
    int64_t integer = 0;
    double real = 0;

    bool is_operator(std::string_view op) const {
        return kind == TokenKind::kOperator && text == op;
    }
    bool is_name(std::string_view name) const { return kind == TokenKind::kName && text == name; }
};

// All tokens; the last one is kEnd.
Result<std::vector<Token>> tokenize(std::string_view source);

// "line N: message" as an error of this room.
Error error_at(uint32_t line, std::string message, Code code = Code::kInvalid);

}  // namespace tenon::chat_template
