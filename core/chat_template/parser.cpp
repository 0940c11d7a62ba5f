#include "core/chat_template/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "core/chat_template/expression_parser.h"

namespace tenon::chat_template {

namespace {

class Parser : public ExpressionParser {
public:
    using ExpressionParser::ExpressionParser;

    Result<Body> run() { return parse_body({}); }

private:
    using Ends = std::initializer_list<std::string_view>;

    // Statements up to `{% END`, which stays unread behind its '{%'; without ends, to the end of all.
    Result<Body> parse_body(Ends ends) {
        const Level level(depth_);
        TENON_CHECK(check_depth());
        const uint32_t first_line = now().line;
        Body body;
        for (;;) {
            const Token& token = now();
            if (token.kind == TokenKind::kEnd) {
                if (ends.size() == 0) return body;
                return error_at(first_line,
                                fmt::format("this block has no '{{% {} %}}'.", *(ends.end() - 1)));
            }
            Stmt stmt;
            stmt.line = token.line;
            if (token.kind == TokenKind::kData) {
                stmt.constant = Value::trusted(token.text);
                skip();
            } else if (token.kind == TokenKind::kVariableBegin) {
                skip();
                stmt.kind = StmtKind::kOutput;
                TENON_TRY(ExprPtr expr, parse_tuple(true, false));
                stmt.exprs.push_back(std::move(expr));
                if (now().kind != TokenKind::kVariableEnd) return unexpected("'}}'");
                skip();
            } else {
                skip();  // {%
                if (now().kind == TokenKind::kName &&
                    std::find(ends.begin(), ends.end(), now().text) != ends.end()) {
                    return body;
                }
                TENON_CHECK(parse_statement(stmt));
            }
            body.push_back(std::move(stmt));
        }
    }

    Error unexpected(std::string_view wanted) const {
        return error_at(now().line,
                        fmt::format("saw {} where {} was wanted.", describe(now()), wanted));
    }

    Status end_tag() {
        if (now().kind != TokenKind::kBlockEnd) return unexpected("'%}'");
        skip();
        return {};
    }

    // '%}', statements, `{% end %}`.
    Status parse_block(Body& body, std::string_view end, bool of_if = false) {
        const Setting setting(in_if_, of_if);
        skip_operator(":");
        TENON_CHECK(end_tag());
        TENON_TRY(body, parse_body({end}));
        skip();
        return end_tag();
    }

    Status parse_statement(Stmt& stmt) {
        TENON_TRY(const std::string name, expect_name("the name of a statement"));
        if (name == "if") return parse_if(stmt);
        if (name == "for") return parse_for(stmt);
        if (name == "set") return parse_set(stmt);
        if (name == "macro") return parse_macro(stmt);
        if (name == "with") return parse_with(stmt);
        if (name == "generation") {
            stmt.kind = StmtKind::kGeneration;
            return parse_block(stmt.body, "endgeneration");
        }
        if (name == "filter") {
            stmt.kind = StmtKind::kFilter;
            TENON_CHECK(parse_filter(stmt.filters));
            TENON_CHECK(parse_filters(stmt.filters));
            return parse_block(stmt.body, "endfilter");
        }
        if (name == "print") {
            stmt.kind = StmtKind::kOutput;
            while (now().kind != TokenKind::kBlockEnd) {
                if (!stmt.exprs.empty()) TENON_CHECK(expect_operator(","));
                TENON_TRY(ExprPtr expr, parse_expression());
                stmt.exprs.push_back(std::move(expr));
            }
            return end_tag();
        }
        if (name == "break" || name == "continue") {
            stmt.kind = name == "break" ? StmtKind::kBreak : StmtKind::kContinue;
            if (loops_ == 0)
                return error_at(stmt.line, fmt::format("'{}' stands outside of a loop.", name));
            return end_tag();
        }
        if (name.substr(0, 3) == "end" || name == "else" || name == "elif") {
            return error_at(stmt.line, fmt::format("'{}' ends nothing here.", name));
        }
        return error_at(stmt.line, fmt::format("the statement '{}' is not supported.", name),
                        Code::kUnsupported);
    }

    Status parse_if(Stmt& stmt) {
        stmt.kind = StmtKind::kIf;
        const Setting setting(in_if_, true);
        for (;;) {
            TENON_TRY(ExprPtr test, parse_tuple(false, false));
            skip_operator(":");
            TENON_CHECK(end_tag());
            TENON_TRY(Body body, parse_body({"elif", "else", "endif"}));
            stmt.branches.emplace_back(std::move(test), std::move(body));
            const std::string end = now().text;
            skip();
            if (end == "elif") continue;
            if (end == "else") return parse_block(stmt.else_body, "endif", true);
            return end_tag();
        }
    }

    Status parse_for(Stmt& stmt) {
        stmt.kind = StmtKind::kFor;
        TENON_TRY(stmt.target, parse_target(true));
        if (!skip_name("in")) return unexpected("'in'");
        TENON_TRY(ExprPtr items, parse_tuple(false, false));
        ExprPtr filter;
        if (skip_name("if")) {
            TENON_TRY(filter, parse_expression());
        }
        if (now().is_name("recursive")) {
            return error_at(stmt.line, "'for ... recursive' is not supported.", Code::kUnsupported);
        }
        stmt.exprs.push_back(std::move(items));
        stmt.exprs.push_back(std::move(filter));
        skip_operator(":");
        TENON_CHECK(end_tag());
        {
            const Setting setting(in_if_, false);
            ++loops_;
            TENON_TRY(stmt.body, parse_body({"else", "endfor"}));
            --loops_;
        }
        const bool has_else = now().is_name("else");
        skip();
        return has_else ? parse_block(stmt.else_body, "endfor") : end_tag();
    }

    Status parse_set(Stmt& stmt) {
        stmt.kind = StmtKind::kSet;
        if (now().kind == TokenKind::kName && ahead().is_operator(".")) {
            stmt.target.name = now().text;
            skip();
            skip();
            TENON_TRY(stmt.target.attribute, expect_name("the name of an attribute"));
        } else {
            TENON_TRY(stmt.target, parse_target(true));
        }
        if (skip_operator("=")) {
            TENON_TRY(ExprPtr value, parse_tuple(true, false));
            stmt.exprs.push_back(std::move(value));
            return end_tag();
        }
        stmt.kind = StmtKind::kSetBlock;
        TENON_CHECK(parse_filters(stmt.filters));
        return parse_block(stmt.body, "endset");
    }

    Status parse_filters(std::vector<Suffix>& filters) {
        while (skip_operator("|"))
            TENON_CHECK(parse_filter(filters));
        return {};
    }

    Status parse_with(Stmt& stmt) {
        stmt.kind = StmtKind::kWith;
        while (now().kind != TokenKind::kBlockEnd) {
            if (!stmt.parameters.empty()) TENON_CHECK(expect_operator(","));
            TENON_TRY(Target target, parse_target(false));
            TENON_CHECK(expect_operator("="));
            TENON_TRY(ExprPtr value, parse_expression());
            stmt.parameters.emplace_back(std::move(target), std::move(value));
        }
        return parse_block(stmt.body, "endwith");
    }

    Status parse_macro(Stmt& stmt) {
        stmt.kind = StmtKind::kMacro;
        TENON_TRY(stmt.name, expect_name("the name of a macro"));
        TENON_CHECK(expect_operator("("));
        while (!now().is_operator(")")) {
            if (!stmt.parameters.empty()) TENON_CHECK(expect_operator(","));
            Target target;
            TENON_TRY(target.name, expect_name("the name of a parameter"));
            ExprPtr fallback;
            if (skip_operator("=")) {
                TENON_TRY(fallback, parse_expression());
            } else if (!stmt.parameters.empty() && stmt.parameters.back().second) {
                return error_at(stmt.line,
                                "a parameter without a default follows one that has it.");
            }
            stmt.parameters.emplace_back(std::move(target), std::move(fallback));
        }
        skip();
        const uint32_t loops = std::exchange(loops_, 0);
        const bool outer = std::exchange(in_macro_, true);
        const Status status = parse_block(stmt.body, "endmacro");
        loops_ = loops;
        in_macro_ = outer;
        return status;
    }

    // Names and tuples of names; commas belong to it when `with_tuple`.
    Result<Target> parse_target(bool with_tuple) {
        const Level level(depth_);
        TENON_CHECK(check_depth());
        std::vector<Target> parts;
        bool is_tuple = false;
        for (;;) {
            if (with_tuple && !parts.empty() && (now().is_name("in") || now().is_operator("=")))
                break;
            Target part;
            if (skip_operator("(")) {
                TENON_TRY(part, parse_target(true));
                TENON_CHECK(expect_operator(")"));
            } else {
                const uint32_t line = now().line;
                TENON_TRY(part.name, expect_name("a name to assign to"));
                for (std::string_view reserved :
                     {"true", "false", "none", "True", "False", "None"}) {
                    if (part.name == reserved) {
                        return error_at(line, fmt::format("'{}' cannot be assigned to.", reserved));
                    }
                }
            }
            parts.push_back(std::move(part));
            if (!with_tuple || !skip_operator(",")) break;
            is_tuple = true;
        }
        if (!is_tuple) return std::move(parts[0]);
        Target tuple;
        tuple.is_tuple = true;
        tuple.parts = std::move(parts);
        return tuple;
    }

    uint32_t loops_ = 0;
};

}  // namespace

Result<Body> parse(std::string_view source, const Limits& limits) {
    if (source.size() > limits.source_bytes) {
        return Error{Code::kInvalid, fmt::format("the template has {} bytes; the limit is {}.",
                                                 source.size(), limits.source_bytes)};
    }
    TENON_TRY(std::vector<Token> tokens, tokenize(source));
    return Parser(std::move(tokens), limits).run();
}

}  // namespace tenon::chat_template
