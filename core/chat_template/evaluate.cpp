// The expression half of the interpreter.
#include <fmt/format.h>

#include "core/chat_template/interpreter.h"
#include "core/chat_template/operators.h"

namespace tenon::chat_template {

using Kind = Value::Kind;

Result<Value> Interpreter::find_name(std::string_view name) {
    for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
        TENON_CHECK(runtime_.spend(scope->names.size() / 16));
        for (const auto& [known, value] : scope->names) {
            if (known == name) return value;
        }
    }
    if (const Builtin* function = find_function(name)) {
        return Value::object(std::make_shared<Function>(function, Value()));
    }
    return Value::undefined(fmt::format("'{}' is undefined", name.substr(0, 80)));
}

Result<Value> Interpreter::evaluate(const Expr& expr) {
    TENON_CHECK(runtime_.spend(1));
    if (expr.kind == ExprKind::kConstant) return expr.constant;
    if (expr.kind == ExprKind::kName) return find_name(expr.name);
    if (++eval_depth_ > runtime_.limits().eval_depth) {
        return type_error(fmt::format("the template nests its work deeper than {}.",
                                      runtime_.limits().eval_depth));
    }
    Result<Value> value = evaluate_node(expr);
    --eval_depth_;
    return value;
}

Result<Value> Interpreter::evaluate_node(const Expr& expr) {
    switch (expr.kind) {
        case ExprKind::kList:
        case ExprKind::kTuple: return evaluate_items(expr);
        case ExprKind::kDict: return evaluate_dict(expr);
        case ExprKind::kNot: {
            TENON_TRY(const Value value, evaluate(*expr.parts[0]));
            return Value::boolean(!value.truth());
        }
        case ExprKind::kNegate: {
            TENON_TRY(const Value value, evaluate(*expr.parts[0]));
            return negate(value);
        }
        case ExprKind::kPlus: {
            TENON_TRY(const Value value, evaluate(*expr.parts[0]));
            if (value.is_undefined()) return undefined_error(value);
            if (value.is(Kind::kFloat)) return value;
            if (value.is_integral()) return Value::integer(value.as_integer());
            return type_error(fmt::format("'+' cannot take {}.", describe_value(value)));
        }
        case ExprKind::kChain: return evaluate_chain(expr);
        case ExprKind::kCompare: return evaluate_compare(expr);
        case ExprKind::kConcat: return evaluate_concat(expr);
        case ExprKind::kAnd:
        case ExprKind::kOr: {
            const bool stop_at = expr.kind == ExprKind::kOr;
            Value value;
            for (const ExprPtr& part : expr.parts) {
                TENON_TRY(value, evaluate(*part));
                if (value.truth() == stop_at) break;
            }
            return value;
        }
        case ExprKind::kCondition: return evaluate_condition(expr);
        default: return evaluate_postfix(expr);
    }
}

Result<Value> Interpreter::evaluate_items(const Expr& expr) {
    std::vector<Value> items;
    items.reserve(expr.parts.size());
    for (const ExprPtr& part : expr.parts) {
        TENON_TRY(Value item, evaluate(*part));
        items.push_back(std::move(item));
    }
    return runtime_.make_list(std::move(items), expr.kind == ExprKind::kTuple);
}

Result<Value> Interpreter::evaluate_dict(const Expr& expr) {
    if (expr.parts.size() / 2 > runtime_.limits().dict_entries) {
        return type_error(fmt::format("a dict has {} entries; the limit is {}.",
                                      expr.parts.size() / 2, runtime_.limits().dict_entries));
    }
    std::vector<std::pair<Value, Value>> items;
    for (size_t i = 0; i + 1 < expr.parts.size(); i += 2) {
        TENON_TRY(Value key, evaluate(*expr.parts[i]));
        TENON_TRY(Value value, evaluate(*expr.parts[i + 1]));
        if (!is_key(key))
            return type_error(fmt::format("{} cannot be a key of a dict.", describe_value(key)));
        TENON_CHECK(runtime_.spend(items.size() / 16));
        Dict::put(items, std::move(key), std::move(value));
    }
    return runtime_.make_dict(std::move(items));
}

Result<Value> Interpreter::evaluate_chain(const Expr& expr) {
    TENON_TRY(Value value, evaluate(*expr.parts[0]));
    for (size_t i = 0; i < expr.ops.size(); ++i) {
        TENON_TRY(const Value right, evaluate(*expr.parts[i + 1]));
        TENON_TRY(value, apply_arithmetic(runtime_, expr.ops[i], value, right));
    }
    return value;
}

Result<Value> Interpreter::evaluate_compare(const Expr& expr) {
    TENON_TRY(Value left, evaluate(*expr.parts[0]));
    for (size_t i = 0; i < expr.ops.size(); ++i) {
        TENON_TRY(Value right, evaluate(*expr.parts[i + 1]));
        TENON_TRY(const bool holds, apply_comparison(runtime_, expr.ops[i], left, right));
        if (!holds) return Value::boolean(false);
        left = std::move(right);
    }
    return Value::boolean(true);
}

Result<Value> Interpreter::evaluate_concat(const Expr& expr) {
    Text text;
    for (const ExprPtr& part : expr.parts) {
        TENON_TRY(const Value value, evaluate(*part));
        TENON_TRY(const Text piece, runtime_.to_text(value));
        TENON_CHECK(runtime_.check_size(text.size() + piece.size()));
        text.append(piece);
    }
    return runtime_.make_text(std::move(text));
}

Result<Value> Interpreter::evaluate_condition(const Expr& expr) {
    TENON_TRY(const Value test, evaluate(*expr.parts[0]));
    if (test.truth()) return evaluate(*expr.parts[1]);
    if (expr.parts[2]) return evaluate(*expr.parts[2]);
    return Value::undefined("an 'if' without 'else' did not hold");
}

Result<Value> Interpreter::evaluate_postfix(const Expr& expr) {
    TENON_TRY(Value value, evaluate(*expr.parts[0]));
    for (const Suffix& suffix : expr.suffixes) {
        auto next = apply_suffix(suffix, std::move(value));
        if (!next.ok()) return located(suffix.line, std::move(next).error());
        value = std::move(next).value();
    }
    return value;
}

Result<Value> Interpreter::apply_filters(const std::vector<Suffix>& filters, Value value) {
    for (const Suffix& suffix : filters) {
        TENON_TRY(value, apply_suffix(suffix, std::move(value)));
    }
    return value;
}

Result<Value> Interpreter::apply_suffix(const Suffix& suffix, Value value) {
    switch (suffix.kind) {
        case SuffixKind::kAttribute: return runtime_.attribute(value, suffix.name);
        case SuffixKind::kItem: {
            TENON_TRY(const Value key, evaluate(*suffix.item));
            return runtime_.item(value, key);
        }
        case SuffixKind::kSlice: return apply_slice(suffix, value);
        case SuffixKind::kCall: {
            TENON_TRY(const Args args, evaluate_arguments(suffix.arguments));
            return call(value, args);
        }
        case SuffixKind::kFilter:
        case SuffixKind::kTest: {
            if (suffix.builtin == nullptr) {
                return Error{Code::kUnsupported,
                             fmt::format("the {} '{}' is not supported.",
                                         suffix.kind == SuffixKind::kFilter ? "filter" : "test",
                                         suffix.name)};
            }
            TENON_TRY(const Args args, evaluate_arguments(suffix.arguments));
            TENON_TRY(Value result, run_builtin(*suffix.builtin, runtime_, std::move(value), args));
            if (suffix.negated) return Value::boolean(!result.truth());
            return result;
        }
    }
    return Value();
}

Result<Value> Interpreter::apply_slice(const Suffix& suffix, const Value& value) {
    Value bounds[3];
    const ExprPtr* parts[3] = {&suffix.item, &suffix.to, &suffix.step};
    for (int i = 0; i < 3; ++i) {
        bounds[i] = Value::none();
        if (*parts[i]) {
            TENON_TRY(bounds[i], evaluate(**parts[i]));
        }
    }
    return runtime_.slice(value, &bounds[0], &bounds[1], &bounds[2]);
}

Result<Args> Interpreter::evaluate_arguments(const Arguments& arguments) {
    Args args;
    for (const ExprPtr& expr : arguments.positional) {
        TENON_TRY(Value value, evaluate(*expr));
        args.positional.push_back(std::move(value));
    }
    if (arguments.star) {
        TENON_TRY(const Value value, evaluate(*arguments.star));
        TENON_TRY(const std::vector<Value> items, runtime_.iterate(value));
        args.positional.insert(args.positional.end(), items.begin(), items.end());
    }
    for (const auto& [name, expr] : arguments.named) {
        TENON_TRY(Value value, evaluate(*expr));
        args.named.emplace_back(name, std::move(value));
    }
    if (arguments.star_star) {
        return Error{Code::kUnsupported, "'**' in a call is not supported."};
    }
    return args;
}

Result<Value> Interpreter::call(const Value& callee, const Args& args) {
    if (callee.is_undefined()) return undefined_error(callee);
    if (const auto* function = callee.find_object<Function>()) {
        return run_builtin(*function->builtin, runtime_, function->self, args);
    }
    if (const auto* macro = callee.find_object<MacroObject>()) {
        // Held here: the name may be set to something else while the macro runs.
        const std::shared_ptr<const Object> held = callee.as_object();
        return call_macro(*macro, args);
    }
    return type_error(fmt::format("{} cannot be called.", describe_value(callee)));
}

}  // namespace tenon::chat_template
