#include "core/chat_template/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "core/chat_template/builtin.h"

namespace tenon::chat_template {

namespace {

ExprPtr make(ExprKind kind, uint32_t line) {
    auto expr = std::make_unique<Expr>();
    expr->kind = kind;
    expr->line = line;
    return expr;
}

ExprPtr make_constant(Value value, uint32_t line) {
    ExprPtr expr = make(ExprKind::kConstant, line);
    expr->constant = std::move(value);
    return expr;
}

// The operator that `token` is at this level, if any.
struct OpName {
    std::string_view text;
    Op op;
};
constexpr std::array<OpName, 2> kSums = {{{"+", Op::kAdd}, {"-", Op::kSub}}};
constexpr std::array<OpName, 4> kProducts = {
    {{"*", Op::kMul}, {"/", Op::kDiv}, {"//", Op::kFloorDiv}, {"%", Op::kMod}}};
constexpr std::array<OpName, 1> kPowers = {{{"**", Op::kPow}}};
constexpr std::array<OpName, 6> kComparisons = {{{"==", Op::kEq},
                                                 {"!=", Op::kNe},
                                                 {"<", Op::kLt},
                                                 {"<=", Op::kLe},
                                                 {">", Op::kGt},
                                                 {">=", Op::kGe}}};

template <size_t N>
const OpName* find_op(const std::array<OpName, N>& names, const Token& token) {
    for (const OpName& name : names) {
        if (token.is_operator(name.text)) return &name;
    }
    return nullptr;
}

}  // namespace

Status ExpressionParser::check_depth() const {
    if (depth_ <= limits_.parse_depth) return {};
    return error_at(now().line, fmt::format("tags and brackets are nested deeper than {}.",
                                            limits_.parse_depth));
}

bool ExpressionParser::skip_operator(std::string_view op) {
    if (!now().is_operator(op)) return false;
    skip();
    return true;
}

bool ExpressionParser::skip_name(std::string_view name) {
    if (!now().is_name(name)) return false;
    skip();
    return true;
}

std::string ExpressionParser::describe(const Token& token) {
    switch (token.kind) {
        case TokenKind::kEnd: return "the end of the template";
        case TokenKind::kBlockEnd: return "'%}'";
        case TokenKind::kVariableEnd: return "'}}'";
        case TokenKind::kString: return "a string";
        case TokenKind::kInteger:
        case TokenKind::kFloat: return "a number";
        case TokenKind::kData: return "text";
        case TokenKind::kBlockBegin: return "'{%'";
        case TokenKind::kVariableBegin: return "'{{'";
        default: return fmt::format("'{}'", token.text.substr(0, 60));
    }
}

Status ExpressionParser::expect_operator(std::string_view op) {
    if (skip_operator(op)) return {};
    return error_at(now().line, fmt::format("saw {} where '{}' was wanted.", describe(now()), op));
}

Result<std::string> ExpressionParser::expect_name(std::string_view what) {
    if (now().kind != TokenKind::kName) {
        return error_at(now().line,
                        fmt::format("saw {} where {} was wanted.", describe(now()), what));
    }
    std::string name = now().text;
    skip();
    return name;
}

Result<ExprPtr> ExpressionParser::parse_expression(bool with_condition) {
    if (!with_condition) return parse_or();
    const Level level(depth_);
    TENON_CHECK(check_depth());
    const uint32_t line = now().line;
    TENON_TRY(ExprPtr expr, parse_or());
    uint32_t chained = 0;
    while (skip_name("if")) {
        if (++chained + depth_ > limits_.parse_depth) {
            return error_at(
                line, fmt::format("conditions are nested deeper than {}.", limits_.parse_depth));
        }
        ExprPtr condition = make(ExprKind::kCondition, line);
        TENON_TRY(ExprPtr test, parse_or());
        ExprPtr otherwise;
        if (skip_name("else")) {
            TENON_TRY(otherwise, parse_expression());
        }
        condition->parts.push_back(std::move(test));
        condition->parts.push_back(std::move(expr));
        condition->parts.push_back(std::move(otherwise));
        expr = std::move(condition);
    }
    return expr;
}

Result<ExprPtr> ExpressionParser::parse_or() {
    TENON_TRY(ExprPtr expr, parse_and());
    if (!now().is_name("or")) return expr;
    ExprPtr chain = make(ExprKind::kOr, expr->line);
    chain->parts.push_back(std::move(expr));
    while (skip_name("or")) {
        TENON_TRY(ExprPtr right, parse_and());
        chain->parts.push_back(std::move(right));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::parse_and() {
    TENON_TRY(ExprPtr expr, parse_not());
    if (!now().is_name("and")) return expr;
    ExprPtr chain = make(ExprKind::kAnd, expr->line);
    chain->parts.push_back(std::move(expr));
    while (skip_name("and")) {
        TENON_TRY(ExprPtr right, parse_not());
        chain->parts.push_back(std::move(right));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::parse_not() {
    const uint32_t line = now().line;
    if (!skip_name("not")) return parse_compare();
    const Level level(depth_);
    TENON_CHECK(check_depth());
    ExprPtr expr = make(ExprKind::kNot, line);
    TENON_TRY(ExprPtr operand, parse_not());
    expr->parts.push_back(std::move(operand));
    return expr;
}

Result<ExprPtr> ExpressionParser::parse_compare() {
    TENON_TRY(ExprPtr expr, parse_sum());
    ExprPtr chain;
    for (;;) {
        Op op = Op::kEq;
        if (const OpName* name = find_op(kComparisons, now())) {
            op = name->op;
            skip();
        } else if (skip_name("in")) {
            op = Op::kIn;
        } else if (now().is_name("not") && ahead().is_name("in")) {
            op = Op::kNotIn;
            skip();
            skip();
        } else {
            break;
        }
        if (!chain) {
            chain = make(ExprKind::kCompare, expr->line);
            chain->parts.push_back(std::move(expr));
        }
        TENON_TRY(ExprPtr right, parse_sum());
        chain->ops.push_back(op);
        chain->parts.push_back(std::move(right));
    }
    return chain ? std::move(chain) : std::move(expr);
}

template <class Names>
Result<ExprPtr> ExpressionParser::parse_chain(const Names& names, Rule rule) {
    TENON_TRY(ExprPtr expr, (this->*rule)());
    if (find_op(names, now()) == nullptr) return expr;
    ExprPtr chain = make(ExprKind::kChain, expr->line);
    chain->parts.push_back(std::move(expr));
    while (const OpName* name = find_op(names, now())) {
        skip();
        TENON_TRY(ExprPtr right, (this->*rule)());
        chain->ops.push_back(name->op);
        chain->parts.push_back(std::move(right));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::parse_sum() {
    return parse_chain(kSums, &ExpressionParser::parse_concat);
}

Result<ExprPtr> ExpressionParser::parse_product() {
    return parse_chain(kProducts, &ExpressionParser::parse_power);
}

Result<ExprPtr> ExpressionParser::parse_power() {
    return parse_chain(kPowers, &ExpressionParser::parse_filtered_unary);
}

Result<ExprPtr> ExpressionParser::parse_concat() {
    TENON_TRY(ExprPtr expr, parse_product());
    if (!now().is_operator("~")) return expr;
    ExprPtr chain = make(ExprKind::kConcat, expr->line);
    chain->parts.push_back(std::move(expr));
    while (skip_operator("~")) {
        TENON_TRY(ExprPtr right, parse_product());
        chain->parts.push_back(std::move(right));
    }
    return chain;
}

Result<ExprPtr> ExpressionParser::parse_unary(bool with_filter) {
    const uint32_t line = now().line;
    ExprPtr expr;
    if (now().is_operator("-") || now().is_operator("+")) {
        const Level level(depth_);
        TENON_CHECK(check_depth());
        expr = make(now().is_operator("-") ? ExprKind::kNegate : ExprKind::kPlus, line);
        skip();
        TENON_TRY(ExprPtr operand, parse_unary(false));
        expr->parts.push_back(std::move(operand));
    } else {
        TENON_TRY(expr, parse_primary());
    }
    return parse_postfix(std::move(expr), with_filter);
}

Result<ExprPtr> ExpressionParser::parse_primary() {
    const Token& token = now();
    const uint32_t line = token.line;
    switch (token.kind) {
        case TokenKind::kName: return parse_name();
        case TokenKind::kString: {
            std::string text;
            for (; now().kind == TokenKind::kString; skip())
                text += now().text;
            return make_constant(Value::trusted(std::move(text)), line);
        }
        case TokenKind::kInteger: {
            Value value = Value::integer(token.integer);
            skip();
            return make_constant(std::move(value), line);
        }
        case TokenKind::kFloat: {
            Value value = Value::real(token.real);
            skip();
            return make_constant(std::move(value), line);
        }
        default: break;
    }
    if (skip_operator("(")) {
        TENON_TRY(ExprPtr expr, parse_tuple(true, true));
        TENON_CHECK(expect_operator(")"));
        return expr;
    }
    if (token.is_operator("[")) return parse_list();
    if (token.is_operator("{")) return parse_dict();
    return error_at(line, fmt::format("saw {} where a value was wanted.", describe(token)));
}

Result<ExprPtr> ExpressionParser::parse_name() {
    const Token token = now();
    skip();
    const std::string& name = token.text;
    if (name == "true" || name == "True") return make_constant(Value::boolean(true), token.line);
    if (name == "false" || name == "False") return make_constant(Value::boolean(false), token.line);
    if (name == "none" || name == "None") return make_constant(Value::none(), token.line);
    if ((in_macro_ && (name == "varargs" || name == "kwargs" || name == "caller")) ||
        name == "self" || name == "super" || name == "cycler" || name == "joiner" ||
        name == "lipsum") {
        if (!now().is_operator("=")) {
            return error_at(token.line, fmt::format("'{}' is not supported.", name),
                            Code::kUnsupported);
        }
    }
    ExprPtr expr = make(ExprKind::kName, token.line);
    expr->name = name;
    return expr;
}

bool ExpressionParser::is_tuple_end() const {
    return now().kind == TokenKind::kVariableEnd || now().kind == TokenKind::kBlockEnd ||
           now().is_operator(")") || now().is_name("recursive");
}

Result<ExprPtr> ExpressionParser::parse_tuple(bool with_condition, bool explicit_parentheses) {
    const uint32_t line = now().line;
    std::vector<ExprPtr> parts;
    bool is_tuple = false;
    for (;;) {
        if (!parts.empty()) TENON_CHECK(expect_operator(","));
        if (is_tuple_end()) break;
        TENON_TRY(ExprPtr part, parse_expression(with_condition));
        parts.push_back(std::move(part));
        if (!now().is_operator(",")) break;
        is_tuple = true;
    }
    if (!is_tuple && !parts.empty()) return std::move(parts[0]);
    if (!is_tuple && !explicit_parentheses) {
        return error_at(line,
                        fmt::format("saw {} where an expression was wanted.", describe(now())));
    }
    ExprPtr tuple = make(ExprKind::kTuple, line);
    tuple->parts = std::move(parts);
    return tuple;
}

Result<ExprPtr> ExpressionParser::parse_list() {
    ExprPtr list = make(ExprKind::kList, now().line);
    TENON_CHECK(expect_operator("["));
    while (!now().is_operator("]")) {
        if (!list->parts.empty()) TENON_CHECK(expect_operator(","));
        if (now().is_operator("]")) break;
        TENON_TRY(ExprPtr item, parse_expression());
        list->parts.push_back(std::move(item));
    }
    TENON_CHECK(expect_operator("]"));
    return list;
}

Result<ExprPtr> ExpressionParser::parse_dict() {
    ExprPtr dict = make(ExprKind::kDict, now().line);
    TENON_CHECK(expect_operator("{"));
    while (!now().is_operator("}")) {
        if (!dict->parts.empty()) TENON_CHECK(expect_operator(","));
        if (now().is_operator("}")) break;
        TENON_TRY(ExprPtr key, parse_expression());
        TENON_CHECK(expect_operator(":"));
        TENON_TRY(ExprPtr value, parse_expression());
        dict->parts.push_back(std::move(key));
        dict->parts.push_back(std::move(value));
    }
    TENON_CHECK(expect_operator("}"));
    return dict;
}

Result<ExprPtr> ExpressionParser::parse_postfix(ExprPtr expr, bool with_filter) {
    bool filtered = false;  // behind a filter or test only filters, tests and calls follow
    for (;;) {
        Suffix suffix;
        suffix.line = now().line;
        std::vector<Suffix> found;
        if (!filtered && (now().is_operator(".") || now().is_operator("["))) {
            TENON_CHECK(parse_subscript(suffix));
            found.push_back(std::move(suffix));
        } else if (now().is_operator("(")) {
            suffix.kind = SuffixKind::kCall;
            TENON_TRY(suffix.arguments, parse_arguments());
            found.push_back(std::move(suffix));
        } else if (with_filter && skip_operator("|")) {
            filtered = true;
            TENON_CHECK(parse_filter(found));
        } else if (with_filter && skip_name("is")) {
            filtered = true;
            TENON_CHECK(parse_test(suffix));
            found.push_back(std::move(suffix));
        } else {
            return expr;
        }
        if (expr->kind != ExprKind::kPostfix) {
            ExprPtr postfix = make(ExprKind::kPostfix, expr->line);
            postfix->parts.push_back(std::move(expr));
            expr = std::move(postfix);
        }
        expr->suffixes.push_back(std::move(found[0]));
    }
}

Status ExpressionParser::parse_filter(std::vector<Suffix>& suffixes) {
    Suffix suffix;
    suffix.line = now().line;
    suffix.kind = SuffixKind::kFilter;
    TENON_TRY(suffix.name, expect_name("the name of a filter"));
    suffix.builtin = find_filter(suffix.name);
    if (suffix.builtin == nullptr && !in_if_) {
        return error_at(suffix.line, fmt::format("the filter '{}' is not supported.", suffix.name),
                        Code::kUnsupported);
    }
    if (now().is_operator("(")) {
        TENON_TRY(suffix.arguments, parse_arguments());
    }
    suffixes.push_back(std::move(suffix));
    return {};
}

Status ExpressionParser::parse_test(Suffix& suffix) {
    suffix.kind = SuffixKind::kTest;
    suffix.negated = skip_name("not");
    TENON_TRY(suffix.name, expect_name("the name of a test"));
    suffix.builtin = find_test(suffix.name);
    if (suffix.builtin == nullptr && !in_if_) {
        return error_at(suffix.line, fmt::format("the test '{}' is not supported.", suffix.name),
                        Code::kUnsupported);
    }
    const Token& token = now();
    if (token.is_operator("(")) {
        TENON_TRY(suffix.arguments, parse_arguments());
        return {};
    }
    const bool starts_value = token.kind == TokenKind::kName || token.kind == TokenKind::kString ||
                              token.kind == TokenKind::kInteger ||
                              token.kind == TokenKind::kFloat || token.is_operator("[") ||
                              token.is_operator("{");
    if (!starts_value || token.is_name("else") || token.is_name("or") || token.is_name("and"))
        return {};
    if (token.is_name("is")) return error_at(token.line, "tests with 'is' cannot be chained.");
    TENON_TRY(ExprPtr primary, parse_primary());
    TENON_TRY(ExprPtr argument, parse_postfix(std::move(primary), false));
    suffix.arguments.positional.push_back(std::move(argument));
    return {};
}

Status ExpressionParser::parse_subscript(Suffix& suffix) {
    if (skip_operator(".")) {
        if (now().kind == TokenKind::kInteger) {
            suffix.kind = SuffixKind::kItem;
            suffix.item = make_constant(Value::integer(now().integer), suffix.line);
            skip();
            return {};
        }
        suffix.kind = SuffixKind::kAttribute;
        TENON_TRY(suffix.name, expect_name("the name of an attribute"));
        return {};
    }
    TENON_CHECK(expect_operator("["));
    suffix.kind = SuffixKind::kItem;
    if (!now().is_operator(":")) {
        TENON_TRY(suffix.item, parse_expression());
    }
    if (skip_operator(":")) {
        suffix.kind = SuffixKind::kSlice;
        if (!now().is_operator(":") && !now().is_operator("]")) {
            TENON_TRY(suffix.to, parse_expression());
        }
        if (skip_operator(":") && !now().is_operator("]")) {
            TENON_TRY(suffix.step, parse_expression());
        }
    }
    return expect_operator("]");
}

Result<Arguments> ExpressionParser::parse_arguments() {
    const uint32_t line = now().line;
    Arguments arguments;
    TENON_CHECK(expect_operator("("));
    bool first = true;
    while (!now().is_operator(")")) {
        if (!first) TENON_CHECK(expect_operator(","));
        if (now().is_operator(")")) break;
        first = false;
        const bool closed = arguments.star_star != nullptr;
        if (skip_operator("*")) {
            if (arguments.star || closed) return error_at(line, "'*' stands twice in a call.");
            TENON_TRY(arguments.star, parse_expression());
        } else if (skip_operator("**")) {
            if (closed) return error_at(line, "'**' stands twice in a call.");
            TENON_TRY(arguments.star_star, parse_expression());
        } else if (now().kind == TokenKind::kName && ahead().is_operator("=")) {
            if (closed) return error_at(line, "an argument follows '**' in a call.");
            std::string name = now().text;
            skip();
            skip();
            TENON_TRY(ExprPtr value, parse_expression());
            arguments.named.emplace_back(std::move(name), std::move(value));
        } else {
            if (closed || arguments.star || !arguments.named.empty()) {
                return error_at(line, "an argument without a name follows a named one.");
            }
            TENON_TRY(ExprPtr value, parse_expression());
            arguments.positional.push_back(std::move(value));
        }
    }
    TENON_CHECK(expect_operator(")"));
    return arguments;
}

}  // namespace tenon::chat_template
