// Filters that apply another filter or test to every item.
#include <fmt/format.h>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/operators.h"

namespace tenon::chat_template {

namespace {

// As jinja: what is false has no items, whatever its type.
Result<std::vector<Value>> items_of(Runtime& runtime, const Value& value) {
    if (!value.truth()) return std::vector<Value>();
    return runtime.iterate(value);
}

// The rest of `args` behind the first `skip` positional ones.
Args rest_of(const Args& args, size_t skip) {
    Args rest;
    rest.positional.assign(args.positional.begin() + static_cast<ptrdiff_t>(skip),
                           args.positional.end());
    rest.named = args.named;
    return rest;
}

Result<Value> map_filter(Runtime& runtime, const Call& call) {
    TENON_TRY(const std::vector<Value> items, items_of(runtime, call.self));
    const Args& args = *call.args;
    std::vector<Value> out;
    if (args.positional.empty()) {
        const Value* attribute = nullptr;
        const Value* fallback = nullptr;
        for (const auto& [name, value] : args.named) {
            if (name == "attribute") {
                attribute = &value;
            } else if (name == "default") {
                fallback = &value;
            } else {
                return type_error(fmt::format("'map' has no argument '{}'.", name));
            }
        }
        if (attribute == nullptr)
            return type_error("'map' wants the name of a filter, or attribute=.");
        for (const Value& item : items) {
            TENON_TRY(Value value, runtime.path(item, *attribute));
            if (value.is_undefined() && fallback != nullptr) value = *fallback;
            out.push_back(std::move(value));
        }
        return runtime.make_list(std::move(out));
    }
    if (!args.positional[0].is_string()) return type_error("'map' wants the name of a filter.");
    const std::string& name = args.positional[0].as_text().bytes();
    const Builtin* filter = find_filter(name);
    if (filter == nullptr)
        return Error{Code::kUnsupported,
                     fmt::format("the filter '{}' is not supported.", name.substr(0, 80))};
    const Args rest = rest_of(args, 1);
    for (const Value& item : items) {
        TENON_TRY(Value value, run_builtin(*filter, runtime, item, rest));
        out.push_back(std::move(value));
    }
    return runtime.make_list(std::move(out));
}

// Items for which the test named by the arguments is `wanted`; without a name, for their truth.
Result<Value> choose(Runtime& runtime, const Call& call, bool by_attribute, bool wanted) {
    TENON_TRY(const std::vector<Value> items, items_of(runtime, call.self));
    const Args& args = *call.args;
    const size_t at = by_attribute ? 1 : 0;
    if (args.positional.size() < at)
        return type_error("'selectattr' and 'rejectattr' want the name of an attribute.");
    const Builtin* test = nullptr;
    Args rest;
    if (args.positional.size() > at) {
        if (!args.positional[at].is_string()) return type_error("a test is named by a str.");
        const std::string& name = args.positional[at].as_text().bytes();
        test = find_test(name);
        if (test == nullptr)
            return Error{Code::kUnsupported,
                         fmt::format("the test '{}' is not supported.", name.substr(0, 80))};
        rest = rest_of(args, at + 1);
    }
    std::vector<Value> out;
    for (const Value& item : items) {
        Value value = item;
        if (by_attribute) {
            TENON_TRY(value, runtime.path(item, args.positional[0]));
        }
        if (test != nullptr) {
            TENON_TRY(value, run_builtin(*test, runtime, value, rest));
        }
        if (value.truth() == wanted) out.push_back(item);
    }
    return runtime.make_list(std::move(out));
}

Result<Value> select(Runtime& runtime, const Call& call) {
    return choose(runtime, call, false, true);
}
Result<Value> reject(Runtime& runtime, const Call& call) {
    return choose(runtime, call, false, false);
}
Result<Value> selectattr(Runtime& runtime, const Call& call) {
    return choose(runtime, call, true, true);
}
Result<Value> rejectattr(Runtime& runtime, const Call& call) {
    return choose(runtime, call, true, false);
}

Result<Value> sum(Runtime& runtime, const Call& call) {
    TENON_TRY(const std::vector<Value> items, runtime.iterate(call.self));
    Value total = call.has(1) ? call.at(1) : Value::integer(0);
    for (Value item : items) {
        if (call.has(0) && !call.at(0).is(Value::Kind::kNone)) {
            TENON_TRY(item, runtime.path(item, call.at(0)));
        }
        if (total.is_string()) return type_error("'sum' cannot add str; use 'join'.");
        TENON_TRY(total, apply_arithmetic(runtime, Op::kAdd, total, item));
    }
    return total;
}

constexpr Builtin kTable[] = {
    {"map", "*", 0, map_filter},        {"select", "*", 0, select},
    {"reject", "*", 0, reject},         {"selectattr", "*", 0, selectattr},
    {"rejectattr", "*", 0, rejectattr}, {"sum", "attribute,start", 0, sum},
};

}  // namespace

std::span<const Builtin> selection_filters() { return kTable; }

}  // namespace tenon::chat_template
