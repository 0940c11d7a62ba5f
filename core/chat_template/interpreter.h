// Walks a tree. One interpreter renders once.
#pragma once

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/chat_template/ast.h"
#include "core/chat_template/builtin.h"
#include "core/chat_template/runtime.h"

namespace tenon::chat_template {

// Names of one block; names are views into the tree or the context, which outlive the render.
struct Scope {
    std::shared_ptr<Scope> parent;
    std::vector<std::pair<std::string_view, Value>> names;
};

// A macro keeps no scope alive: where its own is gone it sees the outermost one.
struct MacroObject : Object {
    const Stmt* macro = nullptr;
    std::weak_ptr<Scope> scope;

    std::string_view type_name() const override { return "macro"; }
};

class Interpreter {
public:
    Interpreter(Runtime& runtime, std::vector<std::pair<std::string_view, Value>> context);

    // The text of `body`; errors name the line.
    Result<Text> run(const Body& body);

private:
    enum class Flow : uint8_t { kNext, kBreak, kContinue };

    // Statements: interpreter.cpp. Output goes to `out`.
    Result<Flow> execute(const Body& body, Text& out);
    Result<Flow> execute(const Stmt& stmt, Text& out);
    Result<Flow> execute_for(const Stmt& stmt, Text& out);
    Status print(const Expr& expr, Text& out);
    Status write(const Text& text, Text& out);
    Result<Text> capture(const Body& body);
    Status assign(const Target& target, Value value);
    void set_name(std::string_view name, Value value);
    Result<std::vector<Value>> filter_items(const Stmt& stmt, std::vector<Value> items);
    Result<Value> call_macro(const MacroObject& macro, const Args& args);

    // Expressions: evaluate.cpp.
    Result<Value> evaluate(const Expr& expr);
    Result<Value> evaluate_node(const Expr& expr);
    Result<Value> evaluate_chain(const Expr& expr);
    Result<Value> evaluate_compare(const Expr& expr);
    Result<Value> evaluate_concat(const Expr& expr);
    Result<Value> evaluate_condition(const Expr& expr);
    Result<Value> evaluate_dict(const Expr& expr);
    Result<Value> evaluate_items(const Expr& expr);
    Result<Value> evaluate_postfix(const Expr& expr);
    Result<Value> apply_suffix(const Suffix& suffix, Value value);
    Result<Value> apply_slice(const Suffix& suffix, const Value& value);
    Result<Value> apply_filters(const std::vector<Suffix>& filters, Value value);
    Result<Value> call(const Value& callee, const Args& args);
    Result<Args> evaluate_arguments(const Arguments& arguments);
    Result<Value> find_name(std::string_view name);

    // Puts the line before the message, once.
    Error located(uint32_t line, Error error);

    Runtime& runtime_;
    std::shared_ptr<Scope> root_;
    std::shared_ptr<Scope> scope_;
    uint32_t eval_depth_ = 0;
    uint32_t macro_depth_ = 0;
    int64_t loop_depth_ = 0;
    bool located_ = false;
};

}  // namespace tenon::chat_template
