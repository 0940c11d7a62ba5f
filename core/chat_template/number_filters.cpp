#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/chat_template/builtin_tables.h"
#include "core/chat_template/operators.h"

namespace tenon::chat_template {

namespace {

// `text` as float() of Python reads it, without its white space; nothing when it is no number.
std::optional<double> read_float(const Text& text) {
    const std::string s = strip(text, true, true, nullptr).bytes();
    const std::string lower = change_case(Text::trusted(s), Case::kLower).bytes();
    const std::string_view bare =
        std::string_view(lower).substr(!lower.empty() && (lower[0] == '-' || lower[0] == '+'));
    const bool words = bare == "inf" || bare == "infinity" || bare == "nan";
    if (s.empty() || (!words && bare.find_first_not_of("0123456789.e+-") != std::string_view::npos))
        return {};
    char* end = nullptr;
    const double value = std::strtod(s.c_str(), &end);
    if (end != s.c_str() + s.size()) return {};
    return value;
}

std::optional<int64_t> read_integer(const Text& text, int base) {
    const std::string s = strip(text, true, true, nullptr).bytes();
    std::string_view digits = s;
    if (!digits.empty() && digits[0] == '+' && digits.size() > 1 && digits[1] != '-')
        digits.remove_prefix(1);
    if (base == 16 && (digits.substr(0, 2) == "0x" || digits.substr(0, 2) == "0X"))
        digits.remove_prefix(2);
    int64_t value = 0;
    const auto got = std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
    if (digits.empty() || got.ec != std::errc() || got.ptr != digits.data() + digits.size())
        return {};
    return value;
}

std::optional<int64_t> truncate(double value) {
    if (!(std::abs(value) < 9.2e18)) return {};
    return static_cast<int64_t>(value);
}

Result<Value> int_filter(Runtime&, const Call& call) {
    const Value fallback = call.has(0) ? call.at(0) : Value::integer(0);
    TENON_TRY(const int64_t base, call.integer(1, 10));
    if (base < 2 || base > 36) return type_error("the base of 'int' must be 2 to 36.");
    std::optional<int64_t> value;
    if (call.self.is_string()) {
        value = read_integer(call.self.as_text(), static_cast<int>(base));
        if (!value) {
            if (const std::optional<double> real = read_float(call.self.as_text()))
                value = truncate(*real);
        }
    } else if (call.self.is_integral()) {
        value = call.self.as_integer();
    } else if (call.self.is(Value::Kind::kFloat)) {
        if (std::isfinite(call.self.as_float()) && !truncate(call.self.as_float())) {
            return type_error("'int' of a number beyond 64 bits.");
        }
        value = truncate(call.self.as_float());
    } else if (call.self.is_undefined()) {
        return undefined_error(call.self);
    }
    return value ? Value::integer(*value) : fallback;
}

Result<Value> float_filter(Runtime&, const Call& call) {
    const Value fallback = call.has(0) ? call.at(0) : Value::real(0);
    if (call.self.is_undefined()) return undefined_error(call.self);
    if (call.self.is_number()) return Value::real(call.self.as_number());
    if (!call.self.is_string()) return fallback;
    const std::optional<double> value = read_float(call.self.as_text());
    return value ? Value::real(*value) : fallback;
}

Result<Value> abs_filter(Runtime&, const Call& call) {
    if (call.self.is(Value::Kind::kFloat)) return Value::real(std::abs(call.self.as_float()));
    if (!call.self.is_integral())
        return type_error(fmt::format("'abs' wants a number, not {}.", describe_value(call.self)));
    return call.self.as_integer() < 0 ? negate(call.self) : Value::integer(call.self.as_integer());
}

Result<Value> round_filter(Runtime&, const Call& call) {
    if (!call.self.is_number())
        return type_error(
            fmt::format("'round' wants a number, not {}.", describe_value(call.self)));
    TENON_TRY(const int64_t precision, call.integer(0, 0));
    if (precision < 0 || precision > 300) {
        return Error{
            Code::kUnsupported,
            fmt::format("'round' to {} digits is not supported; 0 to 300 are.", precision)};
    }
    std::string method = "common";
    if (call.has(1)) {
        TENON_TRY(const Text* given, call.text(1));
        method = given->bytes();
    }
    const double value = call.self.as_number();
    if (method == "common") {
        if (call.self.is_integral()) return Value::integer(call.self.as_integer());
        // The decimal text of the exact value, rounded half to even, is what Python's round() reads.
        return Value::real(std::strtod(fmt::format("{:.{}f}", value, precision).c_str(), nullptr));
    }
    if (method != "ceil" && method != "floor")
        return type_error("'round' knows the methods common, ceil and floor.");
    const double scale = std::pow(10.0, static_cast<double>(precision));
    return Value::real((method == "ceil" ? std::ceil(value * scale) : std::floor(value * scale)) /
                       scale);
}

constexpr Builtin kTable[] = {
    {"int", "default,base", 0, int_filter},
    {"float", "default", 0, float_filter},
    {"abs", "", 0, abs_filter},
    {"round", "precision,method", 0, round_filter},
};

}  // namespace

std::span<const Builtin> number_filters() { return kTable; }

}  // namespace tenon::chat_template
