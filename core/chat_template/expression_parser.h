// The expression half of the parser; statements (parser.cpp) build on it. Grammar and precedence are
// jinja2's: `~` binds tighter than `+`, filters bind to a whole unary term.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/chat_template/ast.h"
#include "core/chat_template/lexer.h"
#include "core/chat_template/limits.h"

namespace tenon::chat_template {

class ExpressionParser {
public:
    ExpressionParser(std::vector<Token> tokens, const Limits& limits)
        : tokens_(std::move(tokens)), limits_(limits) {}

protected:
    // Counts one level of nesting while it lives.
    struct Level {
        explicit Level(uint32_t& depth) : depth_(depth) { ++depth_; }
        ~Level() { --depth_; }
        Level(const Level&) = delete;
        Level& operator=(const Level&) = delete;
        uint32_t& depth_;
    };
    Status check_depth() const;

    const Token& now() const { return tokens_[at_]; }
    const Token& ahead() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
    void skip() {
        if (at_ + 1 < tokens_.size()) ++at_;
    }
    bool skip_operator(std::string_view op);
    bool skip_name(std::string_view name);
    Status expect_operator(std::string_view op);
    Result<std::string> expect_name(std::string_view what);
    static std::string describe(const Token& token);

    Result<ExprPtr> parse_expression(bool with_condition = true);
    // One expression, or a tuple when commas follow.
    Result<ExprPtr> parse_tuple(bool with_condition, bool explicit_parentheses);
    // Appends the filter behind '|' (already skipped) to `suffixes`.
    Status parse_filter(std::vector<Suffix>& suffixes);

    // Sets a flag while it lives.
    struct Setting {
        Setting(bool& flag, bool value) : flag_(flag), before_(std::exchange(flag, value)) {}
        ~Setting() { flag_ = before_; }
        Setting(const Setting&) = delete;
        Setting& operator=(const Setting&) = delete;
        bool& flag_;
        bool before_;
    };

    bool in_macro_ = false;
    // Straight inside of an `if`, where jinja2 refuses a filter or test that does not exist only when
    // it is reached: templates ask there what their host knows.
    bool in_if_ = false;
    uint32_t depth_ = 0;

private:
    using Rule = Result<ExprPtr> (ExpressionParser::*)();

    // Operands of `rule` joined by operators of `names`, grouped from the left.
    template <class Names>
    Result<ExprPtr> parse_chain(const Names& names, Rule rule);
    Result<ExprPtr> parse_or();
    Result<ExprPtr> parse_and();
    Result<ExprPtr> parse_not();
    Result<ExprPtr> parse_compare();
    Result<ExprPtr> parse_sum();
    Result<ExprPtr> parse_concat();
    Result<ExprPtr> parse_product();
    Result<ExprPtr> parse_power();
    Result<ExprPtr> parse_filtered_unary() { return parse_unary(true); }
    Result<ExprPtr> parse_unary(bool with_filter);
    Result<ExprPtr> parse_primary();
    Result<ExprPtr> parse_name();
    Result<ExprPtr> parse_list();
    Result<ExprPtr> parse_dict();
    Result<ExprPtr> parse_postfix(ExprPtr expr, bool with_filter);
    Status parse_subscript(Suffix& suffix);
    Status parse_test(Suffix& suffix);
    Result<Arguments> parse_arguments();
    bool is_tuple_end() const;

    std::vector<Token> tokens_;
    size_t at_ = 0;
    Limits limits_;
};

}  // namespace tenon::chat_template
