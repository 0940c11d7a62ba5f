#include "core/chat_template/interpreter.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/chat_template/lexer.h"
#include "core/chat_template/loop.h"

namespace tenon::chat_template {

using Kind = Value::Kind;

Interpreter::Interpreter(Runtime& runtime, std::vector<std::pair<std::string_view, Value>> context)
    : runtime_(runtime), root_(std::make_shared<Scope>()), scope_(root_) {
    root_->names = std::move(context);
}

Error Interpreter::located(uint32_t line, Error error) {
    if (std::exchange(located_, true)) return error;
    return error_at(line, std::move(error.message), error.code);
}

Result<Text> Interpreter::run(const Body& body) {
    Text out;
    TENON_CHECK(execute(body, out));
    return out;
}

Result<Interpreter::Flow> Interpreter::execute(const Body& body, Text& out) {
    if (++eval_depth_ > runtime_.limits().eval_depth) {
        return type_error(fmt::format("the template nests its work deeper than {}.",
                                      runtime_.limits().eval_depth));
    }
    Flow flow = Flow::kNext;
    for (const Stmt& stmt : body) {
        auto done = execute(stmt, out);
        if (!done.ok()) return located(stmt.line, std::move(done).error());
        flow = *done;
        if (flow != Flow::kNext) break;
    }
    --eval_depth_;
    return flow;
}

Status Interpreter::write(const Text& text, Text& out) {
    TENON_CHECK(runtime_.check_size(out.size() + text.size()));
    TENON_CHECK(runtime_.spend(text.size() / 64 + text.user_spans().size() / 4));
    out.append(text);
    return {};
}

Status Interpreter::print(const Expr& expr, Text& out) {
    TENON_TRY(const Value value, evaluate(expr));
    if (value.is_string()) return write(value.as_text(), out);
    TENON_TRY(const Text text, runtime_.to_text(value));
    return write(text, out);
}

Result<Text> Interpreter::capture(const Body& body) {
    const std::shared_ptr<Scope> outer = scope_;
    scope_ = std::make_shared<Scope>();
    scope_->parent = outer;
    Text text;
    TENON_TRY(const Flow flow, execute(body, text));
    if (flow != Flow::kNext) {
        return Error{Code::kUnsupported,
                     "'break' and 'continue' cannot leave a set, filter or macro block."};
    }
    scope_ = outer;
    return text;
}

void Interpreter::set_name(std::string_view name, Value value) {
    for (auto& [known, old] : scope_->names) {
        if (known == name) {
            old = std::move(value);
            return;
        }
    }
    scope_->names.emplace_back(name, std::move(value));
}

Status Interpreter::assign(const Target& target, Value value) {
    TENON_CHECK(runtime_.spend(1 + scope_->names.size() / 16));
    if (target.is_tuple) {
        TENON_TRY(std::vector<Value> items, runtime_.iterate(value));
        if (value.is_undefined()) return undefined_error(value);
        if (items.size() != target.parts.size()) {
            return type_error(fmt::format("{} names were to be set from {} values.",
                                          target.parts.size(), items.size()));
        }
        for (size_t i = 0; i < items.size(); ++i)
            TENON_CHECK(assign(target.parts[i], std::move(items[i])));
        return {};
    }
    if (target.attribute.empty()) {
        set_name(target.name, std::move(value));
        return {};
    }
    TENON_TRY(const Value holder, find_name(target.name));
    if (!holder.is(Kind::kNamespace)) {
        return type_error(fmt::format("'{}' is {}; attributes are set on namespaces only.",
                                      target.name, describe_value(holder)));
    }
    TENON_CHECK(runtime_.spend(holder.as_namespace().items.size() / 16));
    holder.as_namespace().set(target.attribute, std::move(value));
    return {};
}

Result<Interpreter::Flow> Interpreter::execute(const Stmt& stmt, Text& out) {
    TENON_CHECK(runtime_.spend(1));
    switch (stmt.kind) {
        case StmtKind::kText: TENON_CHECK(write(stmt.constant.as_text(), out)); return Flow::kNext;
        case StmtKind::kOutput:
            for (const ExprPtr& expr : stmt.exprs)
                TENON_CHECK(print(*expr, out));
            return Flow::kNext;
        case StmtKind::kIf:
            for (const auto& [test, body] : stmt.branches) {
                TENON_TRY(const Value value, evaluate(*test));
                if (value.truth()) return execute(body, out);
            }
            return execute(stmt.else_body, out);
        case StmtKind::kFor: return execute_for(stmt, out);
        case StmtKind::kSet: {
            TENON_TRY(Value value, evaluate(*stmt.exprs[0]));
            TENON_CHECK(assign(stmt.target, std::move(value)));
            return Flow::kNext;
        }
        case StmtKind::kSetBlock:
        case StmtKind::kFilter: {
            TENON_TRY(Text text, capture(stmt.body));
            TENON_TRY(Value value, runtime_.make_text(std::move(text)));
            TENON_TRY(value, apply_filters(stmt.filters, std::move(value)));
            if (stmt.kind == StmtKind::kSetBlock) {
                TENON_CHECK(assign(stmt.target, std::move(value)));
                return Flow::kNext;
            }
            TENON_TRY(const Text printed, runtime_.to_text(value));
            TENON_CHECK(write(printed, out));
            return Flow::kNext;
        }
        case StmtKind::kMacro: {
            auto macro = std::make_shared<MacroObject>();
            macro->macro = &stmt;
            macro->scope = scope_;
            TENON_CHECK(runtime_.spend(scope_->names.size() / 16));
            set_name(stmt.name, Value::object(std::move(macro)));
            return Flow::kNext;
        }
        case StmtKind::kWith:
        case StmtKind::kGeneration: {
            auto inner = std::make_shared<Scope>();
            inner->parent = scope_;
            std::vector<Value> values;
            for (const auto& [target, expr] : stmt.parameters) {
                TENON_TRY(Value value, evaluate(*expr));
                values.push_back(std::move(value));
            }
            scope_ = inner;
            for (size_t i = 0; i < values.size(); ++i) {
                TENON_CHECK(assign(stmt.parameters[i].first, std::move(values[i])));
            }
            TENON_TRY(const Flow flow, execute(stmt.body, out));
            scope_ = inner->parent;
            return flow;
        }
        case StmtKind::kBreak: return Flow::kBreak;
        case StmtKind::kContinue: return Flow::kContinue;
    }
    return Flow::kNext;
}

Result<std::vector<Value>> Interpreter::filter_items(const Stmt& stmt, std::vector<Value> items) {
    std::vector<Value> kept;
    const std::shared_ptr<Scope> outer = scope_;
    for (Value& item : items) {
        scope_ = std::make_shared<Scope>();
        scope_->parent = outer;
        TENON_CHECK(assign(stmt.target, item));
        TENON_TRY(const Value keep, evaluate(*stmt.exprs[1]));
        if (keep.truth()) kept.push_back(std::move(item));
    }
    scope_ = outer;
    return kept;
}

Result<Interpreter::Flow> Interpreter::execute_for(const Stmt& stmt, Text& out) {
    TENON_TRY(const Value sequence, evaluate(*stmt.exprs[0]));
    TENON_TRY(std::vector<Value> items, runtime_.iterate(sequence));
    if (stmt.exprs[1]) {
        TENON_TRY(items, filter_items(stmt, std::move(items)));
    }
    if (items.empty()) return execute(stmt.else_body, out);
    auto loop = std::make_shared<LoopObject>();
    for (const Value& item : items)
        loop->items_depth = std::max(loop->items_depth, item.depth());
    if (loop->items_depth >= runtime_.limits().value_depth) {
        return type_error(
            fmt::format("lists are nested deeper than {}.", runtime_.limits().value_depth));
    }
    loop->items = std::move(items);
    loop->level = ++loop_depth_;
    const std::shared_ptr<Scope> outer = scope_;
    std::shared_ptr<Scope> inner;
    Flow flow = Flow::kNext;
    for (; loop->index < loop->items.size() && flow != Flow::kBreak; ++loop->index) {
        TENON_CHECK(runtime_.spend(1));
        // A scope nobody else refers to is used again.
        if (inner && inner.use_count() == 1) {
            inner->names.clear();
        } else {
            inner = std::make_shared<Scope>();
            inner->parent = outer;
        }
        scope_ = inner;
        set_name("loop", Value::object(loop));
        TENON_CHECK(assign(stmt.target, loop->items[loop->index]));
        TENON_TRY(flow, execute(stmt.body, out));
        scope_ = outer;
    }
    --loop_depth_;
    return Flow::kNext;
}

Result<Value> Interpreter::call_macro(const MacroObject& macro, const Args& args) {
    const Stmt& stmt = *macro.macro;
    if (++macro_depth_ > runtime_.limits().recursion) {
        return type_error(
            fmt::format("macros call each other deeper than {}.", runtime_.limits().recursion));
    }
    if (args.positional.size() > stmt.parameters.size()) {
        return type_error(fmt::format("the macro '{}' takes {} arguments and got {}.", stmt.name,
                                      stmt.parameters.size(), args.positional.size()));
    }
    const std::shared_ptr<Scope> outer = scope_;
    auto inner = std::make_shared<Scope>();
    inner->parent = macro.scope.lock();
    if (!inner->parent) inner->parent = root_;
    for (const auto& [name, value] : args.named) {
        const auto known =
            std::find_if(stmt.parameters.begin(), stmt.parameters.end(),
                         [&, key = name](const auto& p) { return p.first.name == key; });
        if (known == stmt.parameters.end()) {
            return type_error(
                fmt::format("the macro '{}' has no parameter '{}'.", stmt.name, name));
        }
    }
    scope_ = inner;
    for (size_t i = 0; i < stmt.parameters.size(); ++i) {
        const auto& [target, fallback] = stmt.parameters[i];
        const auto named =
            std::find_if(args.named.begin(), args.named.end(),
                         [&, &name = target.name](const auto& a) { return a.first == name; });
        if (i < args.positional.size()) {
            if (named != args.named.end()) {
                return type_error(fmt::format("the macro '{}' got its parameter '{}' twice.",
                                              stmt.name, target.name));
            }
            set_name(target.name, args.positional[i]);
        } else if (named != args.named.end()) {
            set_name(target.name, named->second);
        } else if (fallback) {
            TENON_TRY(Value value, evaluate(*fallback));
            set_name(target.name, std::move(value));
        } else {
            set_name(target.name,
                     Value::undefined(fmt::format("parameter '{}' was not provided", target.name)));
        }
    }
    const int64_t loops = std::exchange(loop_depth_, 0);
    Text text;
    TENON_CHECK(execute(stmt.body, text));
    loop_depth_ = loops;
    scope_ = outer;
    --macro_depth_;
    return runtime_.make_text(std::move(text));
}

}  // namespace tenon::chat_template
