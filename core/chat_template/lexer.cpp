#include "core/chat_template/lexer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "core/chat_template/text.h"

namespace tenon::chat_template {

Error error_at(uint32_t line, std::string message, Code code) {
    return Error{code, fmt::format("template line {}: {}", line, message)};
}

namespace {

std::string normalize_newlines(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); ++i) {
        if (source[i] == '\r') {
            out += '\n';
            if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
        } else {
            out += source[i];
        }
    }
    if (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
}

class Lexer {
public:
    explicit Lexer(std::string_view source) : source_(normalize_newlines(source)) {}

    Result<std::vector<Token>> run() {
        while (at_ < source_.size())
            TENON_CHECK(root());
        push(TokenKind::kEnd);
        return std::move(tokens_);
    }

private:
    bool starts(std::string_view what) const {
        return std::string_view(source_).substr(at_, what.size()) == what;
    }

    void push(TokenKind kind, std::string text = {}) {
        Token token;
        token.kind = kind;
        token.line = line_;
        token.text = std::move(text);
        tokens_.push_back(std::move(token));
    }

    // Moves to `to`, counting lines.
    void advance(size_t to) {
        line_ +=
            static_cast<uint32_t>(std::count(source_.begin() + static_cast<ptrdiff_t>(at_),
                                             source_.begin() + static_cast<ptrdiff_t>(to), '\n'));
        line_starting_ = to > at_ ? source_[to - 1] == '\n' : line_starting_;
        at_ = to;
    }

    size_t skip_space(size_t from) const {
        while (from < source_.size() && is_space(decode_point(source_, from)))
            from = next_point(source_, from);
        return from;
    }

    // Emits source bytes [at_, tag) as data, stripped as the sign behind the tag's opening asks.
    void data(size_t tag, char sign, bool is_variable) {
        std::string_view text = std::string_view(source_).substr(at_, tag - at_);
        if (sign == '-') {
            text = text.substr(
                0, strip(Text::trusted(std::string(text)), false, true, nullptr).size());
        } else if (sign != '+' && !is_variable) {
            const size_t newline = text.rfind('\n');
            const size_t line_begin = newline == std::string_view::npos ? 0 : newline + 1;
            if (line_begin > 0 || line_starting_) {
                const size_t end = at_ + text.size();
                if (skip_space(at_ + line_begin) >= end) text = text.substr(0, line_begin);
            }
        }
        if (!text.empty()) push(TokenKind::kData, std::string(text));
    }

    // Offset behind `-%}\s*`, `+%}` or `%}\n?` at `from`; 0 when there is no such end.
    size_t tag_end(size_t from, std::string_view close) const {
        const std::string_view rest = std::string_view(source_).substr(from);
        const size_t n = close.size();
        if (rest.substr(0, n) == close) {
            const bool newline =
                close != "}}" && from + n < source_.size() && source_[from + n] == '\n';
            return from + n + (newline ? 1 : 0);
        }
        if (rest.size() <= n || rest.substr(1, n) != close) return 0;
        if (rest[0] == '-') return skip_space(from + n + 1);
        if (rest[0] == '+' && close != "}}") return from + n + 1;
        return 0;
    }

    Status root() {
        size_t tag = at_;
        for (;; ++tag) {
            tag = source_.find('{', tag);
            if (tag == std::string::npos || tag + 1 >= source_.size()) {
                push(TokenKind::kData, source_.substr(at_));
                advance(source_.size());
                return {};
            }
            const char c = source_[tag + 1];
            if (c == '%' || c == '{' || c == '#') break;
        }
        const char type = source_[tag + 1];
        size_t body = tag + 2;
        char sign = 0;
        if (body < source_.size() && (source_[body] == '-' || source_[body] == '+'))
            sign = source_[body++];
        data(tag, sign, type == '{');
        if (type == '%') {
            const size_t raw_end = find_raw_begin(body);
            advance(body);
            if (raw_end != 0) {
                advance(raw_end);
                return raw();
            }
            return tag_body(TokenKind::kBlockBegin, TokenKind::kBlockEnd, "%}");
        }
        advance(body);
        if (type == '#') return comment();
        return tag_body(TokenKind::kVariableBegin, TokenKind::kVariableEnd, "}}");
    }

    Status comment() {
        const size_t close = source_.find("#}", at_);
        if (close == std::string::npos) return error_at(line_, "this comment has no end '#}'.");
        const bool has_sign =
            close > at_ && (source_[close - 1] == '-' || source_[close - 1] == '+');
        advance(tag_end(has_sign ? close - 1 : close, "#}"));
        return {};
    }

    size_t find_raw_begin(size_t body) const {
        size_t i = skip_space(body);
        if (std::string_view(source_).substr(i, 3) != "raw") return 0;
        i = skip_space(i + 3);
        if (std::string_view(source_).substr(i, 2) == "%}") return i + 2;
        if (std::string_view(source_).substr(i, 3) == "-%}") return skip_space(i + 3);
        return 0;
    }

    Status raw() {
        for (size_t tag = at_;; ++tag) {
            tag = source_.find("{%", tag);
            if (tag == std::string::npos)
                return error_at(line_, "this raw block has no '{% endraw %}'.");
            size_t body = tag + 2;
            char sign = 0;
            if (body < source_.size() && (source_[body] == '-' || source_[body] == '+'))
                sign = source_[body++];
            body = skip_space(body);
            if (std::string_view(source_).substr(body, 6) != "endraw") continue;
            const size_t end = tag_end(skip_space(body + 6), "%}");
            if (end == 0) continue;
            data(tag, sign, false);
            advance(end);
            return {};
        }
    }

    Status tag_body(TokenKind begin, TokenKind end, std::string_view close) {
        const uint32_t first_line = line_;
        push(begin);
        std::string open;  // brackets that wait for their partner
        while (at_ < source_.size()) {
            if (open.empty()) {
                if (const size_t behind = tag_end(at_, close); behind != 0) {
                    push(end);
                    advance(behind);
                    return {};
                }
            }
            if (const size_t text = skip_space(at_); text != at_) {
                advance(text);
                continue;
            }
            const char c = source_[at_];
            if (is_digit(c)) {
                TENON_CHECK(number());
            } else if (is_name_start(c)) {
                size_t to = at_;
                while (to < source_.size() && (is_name_start(source_[to]) || is_digit(source_[to])))
                    ++to;
                push(TokenKind::kName, source_.substr(at_, to - at_));
                advance(to);
            } else if (c == '\'' || c == '"') {
                TENON_CHECK(string(c));
            } else {
                TENON_CHECK(operation(open));
            }
        }
        return error_at(first_line, fmt::format("this tag has no end '{}'.", close));
    }

    Status operation(std::string& open) {
        static constexpr std::array<std::string_view, 27> kOperators = {
            "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]",
            "(",  ")",  "{",  "}",  ">",  "<",  "=", ".", ":", "|", ",", ";", "!"};
        for (std::string_view op : kOperators) {
            if (!starts(op) || op == "!") continue;
            if (op == "(") open += ')';
            if (op == "[") open += ']';
            if (op == "{") open += '}';
            if (op == ")" || op == "]" || op == "}") {
                if (open.empty()) return error_at(line_, fmt::format("'{}' closes nothing.", op));
                if (open.back() != op[0]) {
                    return error_at(
                        line_, fmt::format("saw '{}' where '{}' was wanted.", op, open.back()));
                }
                open.pop_back();
            }
            push(TokenKind::kOperator, std::string(op));
            advance(at_ + op.size());
            return {};
        }
        const size_t next = next_point(source_, at_);
        return error_at(line_, fmt::format("'{}' is no part of an expression.",
                                           source_.substr(at_, next - at_)));
    }

    // Offset behind digits with single underscores between them.
    size_t skip_digits(size_t from) const {
        while (from < source_.size() &&
               (is_digit(source_[from]) || (source_[from] == '_' && from + 1 < source_.size() &&
                                            is_digit(source_[from + 1])))) {
            ++from;
        }
        return from;
    }

    Status number() {
        int base = 10;
        size_t to = at_;
        const char second =
            at_ + 1 < source_.size() ? static_cast<char>(source_[at_ + 1] | 0x20) : '\0';
        if (source_[at_] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
            base = second == 'x' ? 16 : second == 'o' ? 8 : 2;
            to += 2;
            while (to < source_.size() &&
                   (std::isxdigit(static_cast<unsigned char>(source_[to])) || source_[to] == '_'))
                ++to;
        } else {
            to = skip_digits(at_);
        }
        const size_t whole = to;
        const bool behind_dot = at_ > 0 && source_[at_ - 1] == '.';
        if (base == 10 && !behind_dot) {
            if (to + 1 < source_.size() && source_[to] == '.' && is_digit(source_[to + 1]))
                to = skip_digits(to + 1);
            if (to < source_.size() && (source_[to] == 'e' || source_[to] == 'E')) {
                size_t power = to + 1;
                if (power < source_.size() && (source_[power] == '+' || source_[power] == '-'))
                    ++power;
                if (power < source_.size() && is_digit(source_[power])) to = skip_digits(power);
            }
        }
        std::string digits;
        for (size_t i = at_ + (base == 10 ? 0 : 2); i < to; ++i) {
            if (source_[i] != '_') digits += source_[i];
        }
        Token token;
        token.line = line_;
        if (to != whole) {
            token.kind = TokenKind::kFloat;
            token.real = std::strtod(digits.c_str(), nullptr);
        } else {
            token.kind = TokenKind::kInteger;
            const auto got =
                std::from_chars(digits.data(), digits.data() + digits.size(), token.integer, base);
            const bool leading_zero =
                base == 10 && digits.size() > 1 && digits[0] == '0' && token.integer != 0;
            if (got.ec != std::errc() || got.ptr != digits.data() + digits.size() || leading_zero) {
                return error_at(line_, fmt::format("'{}' is no integer of at most 64 bits.",
                                                   source_.substr(at_, to - at_)));
            }
        }
        tokens_.push_back(std::move(token));
        advance(to);
        return {};
    }

    Status string(char quote) {
        std::string value;
        size_t i = at_ + 1;
        for (; i < source_.size() && source_[i] != quote; ++i) {
            if (source_[i] != '\\') {
                value += source_[i];
                continue;
            }
            if (++i == source_.size()) break;
            TENON_CHECK(escape(i, value));
        }
        if (i >= source_.size()) return error_at(line_, "this string has no closing quote.");
        push(TokenKind::kString, std::move(value));
        advance(i + 1);
        return {};
    }

    // Resolves the escape whose letter is at `i`; leaves `i` on its last byte.
    Status escape(size_t& i, std::string& value) {
        const char c = source_[i];
        static constexpr std::string_view kFrom = "\\'\"abfnrtv";
        static constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
        if (const size_t simple = kFrom.find(c); simple != std::string_view::npos) {
            value += kTo[simple];
        } else if (c == '\n') {
            return {};
        } else if (c >= '0' && c <= '7') {
            uint32_t point = 0;
            size_t n = 0;
            for (;
                 n < 3 && i + n < source_.size() && source_[i + n] >= '0' && source_[i + n] <= '7';
                 ++n) {
                point = point * 8 + static_cast<uint32_t>(source_[i + n] - '0');
            }
            i += n - 1;
            encode_point(point, value);
        } else if (c == 'x' || c == 'u' || c == 'U') {
            const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : 8;
            uint32_t point = 0;
            const char* first = source_.data() + i + 1;
            const char* last = source_.data() + std::min(i + 1 + digits, source_.size());
            const auto got = std::from_chars(first, last, point, 16);
            if (got.ptr != first + digits || point > 0x10FFFF ||
                (point >= 0xD800 && point < 0xE000)) {
                return error_at(line_, fmt::format("the escape '\\{}' names no character.", c));
            }
            i += digits;
            encode_point(point, value);
        } else if (c == 'N') {
            return error_at(line_, "named characters '\\N{...}' are not supported.",
                            Code::kUnsupported);
        } else {
            value += '\\';
            value += c;
        }
        return {};
    }

    std::string source_;
    size_t at_ = 0;
    uint32_t line_ = 1;
    bool line_starting_ = true;
    std::vector<Token> tokens_;
};

}  // namespace

Result<std::vector<Token>> tokenize(std::string_view source) { return Lexer(source).run(); }

}  // namespace tenon::chat_template
