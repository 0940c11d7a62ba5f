// The tests behind `is`.
#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/operators.h"

namespace tenon::chat_template {

namespace {

using Kind = Value::Kind;

template <bool (*holds)(const Value&)>
Result<Value> check(Runtime&, const Call& call) {
    return Value::boolean(holds(call.self));
}

template <Op op>
Result<Value> compare(Runtime& runtime, const Call& call) {
    TENON_TRY(const bool holds, apply_comparison(runtime, op, call.self, call.at(0)));
    return Value::boolean(holds);
}

bool is_defined(const Value& v) { return !v.is_undefined(); }
bool is_undefined(const Value& v) { return v.is_undefined(); }
bool is_none(const Value& v) { return v.is(Kind::kNone); }
bool is_string(const Value& v) { return v.is_string(); }
bool is_mapping(const Value& v) { return v.is(Kind::kDict); }
// Undefined counts in jinja: it has a length and items.
bool is_sequence(const Value& v) {
    return v.is_string() || v.is(Kind::kList) || v.is(Kind::kDict) || v.is_undefined();
}
bool is_number(const Value& v) { return v.is_number(); }
bool is_integer(const Value& v) { return v.is(Kind::kInt); }
bool is_float(const Value& v) { return v.is(Kind::kFloat); }
bool is_boolean(const Value& v) { return v.is(Kind::kBool); }
bool is_true(const Value& v) { return v.is(Kind::kBool) && v.as_bool(); }
bool is_false(const Value& v) { return v.is(Kind::kBool) && !v.as_bool(); }
// Undefined can be called in jinja, which then fails.
bool is_callable(const Value& v) {
    return v.is_undefined() || (v.is(Kind::kObject) && v.as_object()->callable());
}
bool is_escaped(const Value& v) { return v.is_string() && v.as_text().markup(); }

// `self % divisor == wanted`; of a str, % formats, as in Python.
Result<Value> remainder_is(Runtime& runtime, const Call& call, const Value& divisor,
                           int64_t wanted) {
    TENON_TRY(const Value rest, apply_arithmetic(runtime, Op::kMod, call.self, divisor));
    TENON_TRY(const bool same, runtime.equal(rest, Value::integer(wanted)));
    return Value::boolean(same);
}

Result<Value> is_odd(Runtime& runtime, const Call& call) {
    return remainder_is(runtime, call, Value::integer(2), 1);
}
Result<Value> is_even(Runtime& runtime, const Call& call) {
    return remainder_is(runtime, call, Value::integer(2), 0);
}
Result<Value> is_divisible(Runtime& runtime, const Call& call) {
    return remainder_is(runtime, call, call.at(0), 0);
}

Result<Value> is_same(Runtime&, const Call& call) {
    const Value& other = call.at(0);
    if (call.self.kind() != other.kind()) return Value::boolean(false);
    if (call.self.is_integral())
        return Value::boolean(call.self.as_integer() == other.as_integer());
    if (is_none(call.self)) return Value::boolean(true);
    return Value::boolean(call.self.identity() != nullptr &&
                          call.self.identity() == other.identity());
}

// str.isupper / str.islower: at least one letter with case, and none of the other case.
Result<Value> is_case(Runtime& runtime, const Call& call, Case wanted) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    TENON_CHECK(runtime.spend(1 + text.size() / 16));
    const Text upper = change_case(text, Case::kUpper);
    const Text lower = change_case(text, Case::kLower);
    const Text& same = wanted == Case::kUpper ? upper : lower;
    return Value::boolean(text.bytes() == same.bytes() && upper.bytes() != lower.bytes());
}
Result<Value> is_upper(Runtime& runtime, const Call& call) {
    return is_case(runtime, call, Case::kUpper);
}
Result<Value> is_lower(Runtime& runtime, const Call& call) {
    return is_case(runtime, call, Case::kLower);
}

Result<Value> is_filter(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    return Value::boolean(find_filter(text.bytes()) != nullptr);
}
Result<Value> is_test(Runtime& runtime, const Call& call) {
    TENON_TRY(const Text text, runtime.to_text(call.self));
    return Value::boolean(find_test(text.bytes()) != nullptr);
}

constexpr Builtin kTable[] = {
    {"defined", "", 0, check<is_defined>},
    {"undefined", "", 0, check<is_undefined>},
    {"none", "", 0, check<is_none>},
    {"string", "", 0, check<is_string>},
    {"mapping", "", 0, check<is_mapping>},
    {"sequence", "", 0, check<is_sequence>},
    {"iterable", "", 0, check<is_sequence>},
    {"number", "", 0, check<is_number>},
    {"integer", "", 0, check<is_integer>},
    {"float", "", 0, check<is_float>},
    {"boolean", "", 0, check<is_boolean>},
    {"true", "", 0, check<is_true>},
    {"false", "", 0, check<is_false>},
    {"callable", "", 0, check<is_callable>},
    {"escaped", "", 0, check<is_escaped>},
    {"odd", "", 0, is_odd},
    {"even", "", 0, is_even},
    {"divisibleby", "num", 1, is_divisible},
    {"sameas", "other", 1, is_same},
    {"upper", "", 0, is_upper},
    {"lower", "", 0, is_lower},
    {"filter", "", 0, is_filter},
    {"test", "", 0, is_test},
    {"in", "seq", 1, compare<Op::kIn>},
    {"==", "other", 1, compare<Op::kEq>},
    {"eq", "other", 1, compare<Op::kEq>},
    {"equalto", "other", 1, compare<Op::kEq>},
    {"!=", "other", 1, compare<Op::kNe>},
    {"ne", "other", 1, compare<Op::kNe>},
    {"<", "other", 1, compare<Op::kLt>},
    {"lt", "other", 1, compare<Op::kLt>},
    {"lessthan", "other", 1, compare<Op::kLt>},
    {"<=", "other", 1, compare<Op::kLe>},
    {"le", "other", 1, compare<Op::kLe>},
    {">", "other", 1, compare<Op::kGt>},
    {"gt", "other", 1, compare<Op::kGt>},
    {"greaterthan", "other", 1, compare<Op::kGt>},
    {">=", "other", 1, compare<Op::kGe>},
    {"ge", "other", 1, compare<Op::kGe>},
};

}  // namespace

std::span<const Builtin> value_tests() { return kTable; }

}  // namespace tenon::chat_template
