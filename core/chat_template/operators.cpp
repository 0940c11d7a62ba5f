#include "core/chat_template/operators.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::chat_template {

using Kind = Value::Kind;

namespace {

constexpr std::string_view kNames[] = {"+", "-", "*", "/", "//", "%", "**"};

Error overflow(Op op) {
    return type_error(fmt::format("the result of '{}' does not fit into 64 bits.",
                                  kNames[static_cast<size_t>(op)]));
}

Error zero_division() { return type_error("a division by zero."); }

Result<Value> power(int64_t base, int64_t exponent) {
    if (exponent < 0) {
        if (base == 0) return zero_division();
        return Value::real(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    }
    int64_t result = 1;
    while (exponent > 0) {
        if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result))
            return overflow(Op::kPow);
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) return overflow(Op::kPow);
    }
    return Value::integer(result);
}

Result<Value> integer_arithmetic(Op op, int64_t a, int64_t b) {
    int64_t result = 0;
    switch (op) {
        case Op::kAdd:
            if (__builtin_add_overflow(a, b, &result)) return overflow(op);
            return Value::integer(result);
        case Op::kSub:
            if (__builtin_sub_overflow(a, b, &result)) return overflow(op);
            return Value::integer(result);
        case Op::kMul:
            if (__builtin_mul_overflow(a, b, &result)) return overflow(op);
            return Value::integer(result);
        case Op::kDiv:
            if (b == 0) return zero_division();
            return Value::real(static_cast<double>(a) / static_cast<double>(b));
        case Op::kFloorDiv:
        case Op::kMod: {
            if (b == 0) return zero_division();
            if (b == -1) {
                if (op == Op::kMod) return Value::integer(0);
                if (__builtin_sub_overflow(int64_t{0}, a, &result)) return overflow(op);
                return Value::integer(result);
            }
            const int64_t rest = a % b;
            const bool floor = rest != 0 && (rest < 0) != (b < 0);
            return Value::integer(op == Op::kMod ? rest + (floor ? b : 0)
                                                 : a / b - (floor ? 1 : 0));
        }
        default: return power(a, b);
    }
}

struct FloorDivision {
    double quotient;
    double rest;
};

// Python's divmod of floats: the rest has the sign of b, also where it is zero.
FloorDivision floor_division(double a, double b) {
    double rest = std::fmod(a, b);
    double quotient = (a - rest) / b;
    if (rest == 0) {
        rest = std::copysign(0.0, b);
    } else if ((rest < 0) != (b < 0)) {
        rest += b;
        quotient -= 1;
    }
    if (quotient == 0) return {std::copysign(0.0, a / b), rest};
    const double whole = std::floor(quotient);
    return {quotient - whole > 0.5 ? whole + 1 : whole, rest};
}

Result<Value> float_arithmetic(Op op, double a, double b) {
    if (b == 0 && (op == Op::kDiv || op == Op::kFloorDiv || op == Op::kMod)) return zero_division();
    switch (op) {
        case Op::kAdd: return Value::real(a + b);
        case Op::kSub: return Value::real(a - b);
        case Op::kMul: return Value::real(a * b);
        case Op::kDiv: return Value::real(a / b);
        case Op::kFloorDiv: return Value::real(floor_division(a, b).quotient);
        case Op::kMod: return Value::real(floor_division(a, b).rest);
        default: return Value::real(std::pow(a, b));
    }
}

Result<Value> add_text(Runtime& runtime, const Text& a, const Text& b) {
    TENON_CHECK(runtime.check_size(a.size() + b.size()));
    const bool markup = a.markup() || b.markup();
    Text out = markup && !a.markup() ? escape_html(a) : a;
    out.append(markup && !b.markup() ? escape_html(b) : b);
    out.set_markup(markup);
    return runtime.make_text(std::move(out));
}

Result<Value> repeat(Runtime& runtime, const Value& what, int64_t times) {
    const auto count = static_cast<uint64_t>(std::max<int64_t>(times, 0));
    if (what.is_string()) {
        const Text& text = what.as_text();
        const size_t limit = runtime.limits().repeat_bytes;
        if (!text.empty() && count > limit / text.size()) {
            return type_error(fmt::format("a str of {} bytes times {} is more than {} bytes.",
                                          text.size(), times, limit));
        }
        TENON_CHECK(runtime.spend(text.empty() ? 0 : count / 8));
        Text out;
        for (uint64_t i = 0; i < count && !text.empty(); ++i)
            out.append(text);
        return runtime.make_text(std::move(out));
    }
    const auto& items = what.as_list().items;
    const auto limit = static_cast<uint64_t>(runtime.limits().range);
    if (!items.empty() && count > limit / items.size()) {
        return type_error(fmt::format("a list of {} items times {} is more than {} items.",
                                      items.size(), times, limit));
    }
    std::vector<Value> out;
    for (uint64_t i = 0; i < count && !items.empty(); ++i)
        out.insert(out.end(), items.begin(), items.end());
    return runtime.make_list(std::move(out), what.as_list().is_tuple);
}

}  // namespace

Result<Value> apply_arithmetic(Runtime& runtime, Op op, const Value& a, const Value& b) {
    if (a.is_undefined()) return undefined_error(a);
    if (op == Op::kMod && a.is_string()) return format_percent(runtime, a.as_text(), b);
    if (b.is_undefined()) return undefined_error(b);
    if (a.is_integral() && b.is_integral())
        return integer_arithmetic(op, a.as_integer(), b.as_integer());
    if (a.is_number() && b.is_number()) return float_arithmetic(op, a.as_number(), b.as_number());
    if (op == Op::kAdd && a.is_string() && b.is_string())
        return add_text(runtime, a.as_text(), b.as_text());
    if (op == Op::kAdd && a.is(Kind::kList) && b.is(Kind::kList) &&
        a.as_list().is_tuple == b.as_list().is_tuple) {
        std::vector<Value> items = a.as_list().items;
        items.insert(items.end(), b.as_list().items.begin(), b.as_list().items.end());
        return runtime.make_list(std::move(items), a.as_list().is_tuple);
    }
    if (op == Op::kMul) {
        const bool left = a.is_string() || a.is(Kind::kList);
        const bool right = b.is_string() || b.is(Kind::kList);
        if (left && b.is_integral()) return repeat(runtime, a, b.as_integer());
        if (right && a.is_integral()) return repeat(runtime, b, a.as_integer());
    }
    return type_error(fmt::format("'{}' cannot take {} and {}.", kNames[static_cast<size_t>(op)],
                                  describe_value(a), describe_value(b)));
}

Result<bool> apply_comparison(Runtime& runtime, Op op, const Value& a, const Value& b) {
    switch (op) {
        case Op::kEq: return runtime.equal(a, b);
        case Op::kNe: {
            TENON_TRY(const bool same, runtime.equal(a, b));
            return !same;
        }
        case Op::kIn: return runtime.contains(a, b);
        case Op::kNotIn: {
            TENON_TRY(const bool found, runtime.contains(a, b));
            return !found;
        }
        default: break;
    }
    if (a.is_number() && b.is_number() && (std::isnan(a.as_number()) || std::isnan(b.as_number())))
        return false;
    TENON_TRY(const int order, runtime.compare(a, b));
    switch (op) {
        case Op::kLt: return order < 0;
        case Op::kLe: return order <= 0;
        case Op::kGt: return order > 0;
        default: return order >= 0;
    }
}

Result<Value> negate(const Value& value) {
    if (value.is_undefined()) return undefined_error(value);
    if (value.is(Kind::kFloat)) return Value::real(-value.as_float());
    if (value.is_integral()) return integer_arithmetic(Op::kSub, 0, value.as_integer());
    return type_error(fmt::format("'-' cannot take {}.", describe_value(value)));
}

Text escape_html(const Text& text) {
    static constexpr std::string_view kFrom = "&<>'\"";
    static constexpr std::string_view kTo[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    Text out;
    const std::string& s = text.bytes();
    size_t begin = 0;
    for (size_t i = 0; i < s.size(); ++i) {
        const size_t which = kFrom.find(s[i]);
        if (which == std::string_view::npos) continue;
        out.append(text, begin, i);
        out.append_marked(kTo[which], text.is_user_at(i));
        begin = i + 1;
    }
    out.append(text, begin, s.size());
    out.set_markup(true);
    return out;
}

namespace {

// One conversion of a format: flags, width, precision, letter.
struct Conversion {
    bool left = false, zero = false, plus = false, blank = false;
    size_t width = 0;
    int precision = -1;
    char letter = 's';
};

Result<Text> convert(Runtime& runtime, const Conversion& how, const Value& value) {
    if (how.letter == 's' || how.letter == 'r') {
        Text text;
        if (how.letter == 's') {
            TENON_TRY(text, runtime.to_text(value));
        } else {
            TENON_CHECK(runtime.repr(value, text));
        }
        if (how.precision >= 0) {
            text = text.slice(0, offset_of_point(text.bytes(), static_cast<size_t>(how.precision)));
        }
        return text;
    }
    if (!value.is_number())
        return type_error(
            fmt::format("%{} wants a number, not {}.", how.letter, describe_value(value)));
    std::string digits;
    if (how.letter == 'd' || how.letter == 'i') {
        const double number = value.as_number();
        if (!(std::abs(number) < 9.2e18)) return type_error("%d of a number beyond 64 bits.");
        digits =
            std::to_string(value.is_integral() ? value.as_integer() : static_cast<int64_t>(number));
    } else if (how.letter == 'f') {
        digits = fmt::format("{:.{}f}", value.as_number(),
                             how.precision < 0 ? 6 : std::min(how.precision, 100));
    } else {
        return Error{Code::kUnsupported,
                     fmt::format("the conversion '%{}' is not supported.", how.letter)};
    }
    if (digits[0] != '-' && (how.plus || how.blank)) digits.insert(0, 1, how.plus ? '+' : ' ');
    if (how.zero && !how.left && digits.size() < how.width) {
        const bool has_sign = digits[0] == '-' || digits[0] == '+' || digits[0] == ' ';
        digits.insert(has_sign ? 1 : 0, how.width - digits.size(), '0');
    }
    return Text::trusted(std::move(digits));
}

}  // namespace

Result<Value> format_percent(Runtime& runtime, const Text& format, const Value& values) {
    const bool many = values.is(Kind::kList) && values.as_list().is_tuple;
    const size_t available = many ? values.as_list().items.size() : 1;
    size_t used = 0;
    Text out;
    const std::string& s = format.bytes();
    for (size_t i = 0; i < s.size(); ++i) {
        const size_t percent = std::min(s.find('%', i), s.size());
        out.append(format, i, percent);
        i = percent;
        if (i == s.size()) break;
        ++i;
        Conversion how;
        for (; i < s.size() && std::string_view("-0+ #").find(s[i]) != std::string_view::npos;
             ++i) {
            how.left |= s[i] == '-';
            how.zero |= s[i] == '0';
            how.plus |= s[i] == '+';
            how.blank |= s[i] == ' ';
        }
        const auto number = [&] {
            size_t n = 0;
            for (; i < s.size() && s[i] >= '0' && s[i] <= '9'; ++i)
                n = std::min<size_t>(n * 10 + static_cast<size_t>(s[i] - '0'), 1 << 20);
            return n;
        };
        how.width = number();
        if (i < s.size() && s[i] == '.') {
            ++i;
            how.precision = static_cast<int>(number());
        }
        if (i == s.size()) return type_error("a format ends behind '%'.");
        how.letter = s[i];
        if (how.letter == '%') {
            out.append("%");
            continue;
        }
        if (used == available) return type_error("a format has more '%' than there are values.");
        const Value& value = many ? values.as_list().items[used] : values;
        ++used;
        TENON_TRY(const Text piece, convert(runtime, how, value));
        const size_t points = count_points(piece.bytes());
        const std::string pad(how.width > points ? how.width - points : 0, ' ');
        if (!how.left) out.append(pad);
        out.append(piece);
        if (how.left) out.append(pad);
        TENON_CHECK(runtime.check_size(out.size()));
    }
    if (used < available && !values.is(Kind::kDict) && (many || !values.is(Kind::kList)))
        return type_error("a format has fewer '%' than there are values.");
    return runtime.make_text(std::move(out));
}

}  // namespace tenon::chat_template
