#include "core/config/field_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tenon::config {

namespace {

struct Unit {
    std::string_view name;
    uint32_t ms;
};
constexpr Unit kUnits[] = {{"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};

// Digits alone: YAML readers disagree on 010.
bool read_whole(std::string_view text, int64_t& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size() &&
           (text.size() == 1 || text.front() != '0');
}

}  // namespace

Status assign(bool& field, std::string_view text, const Constraint&) {
    if (text == "true" || text == "false") {
        field = text == "true";
        return {};
    }
    return Error{Code::kConfig, fmt::format("expected true or false, got '{}'", text)};
}

Status assign(uint32_t& field, std::string_view text, const Constraint& limit) {
    const int64_t max = limit.max != 0 ? limit.max : int64_t{UINT32_MAX};
    int64_t number = 0;
    if (!read_whole(text, number) || number < limit.min || number > max) {
        return Error{Code::kConfig,
                     fmt::format("expected a whole number from {} to {}{}{}, got '{}'", limit.min,
                                 max, *limit.unit ? " " : "", limit.unit, text)};
    }
    field = static_cast<uint32_t>(number);
    return {};
}

Status assign(double& field, std::string_view text, const Constraint& limit) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    // Written so that NaN is out of range.
    if (error != std::errc{} || end != text.data() + text.size() ||
        !(number >= static_cast<double>(limit.min) && number <= static_cast<double>(limit.max))) {
        return Error{Code::kConfig, fmt::format("expected a number from {} to {}, got '{}'",
                                                limit.min, limit.max, text)};
    }
    field = number;
    return {};
}

Status assign(Duration& field, std::string_view text, const Constraint&) {
    const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    int64_t number = 0;
    for (const Unit& unit : kUnits) {
        if (text.substr(digits) != unit.name || !read_whole(text.substr(0, digits), number)) {
            continue;
        }
        if (number < 1 || number > int64_t{Duration::kMsMax} / unit.ms) break;
        field.ms = static_cast<uint32_t>(number) * unit.ms;
        return {};
    }
    return Error{
        Code::kConfig,
        fmt::format("expected a time such as 500ms, 90s or 10m, at most 24h, got '{}'", text)};
}

Status assign(std::string& field, std::string_view text, const Constraint& limit) {
    if (!limit.choices.empty() &&
        std::none_of(limit.choices.begin(), limit.choices.end(),
                     [&](const char* choice) { return text == choice; })) {
        return Error{Code::kConfig, fmt::format("expected one of {}, got '{}'",
                                                fmt::join(limit.choices, ", "), text)};
    }
    field = text;
    return {};
}

Status assign(std::vector<std::string>& field, std::string_view text, const Constraint& limit) {
    std::string entry;
    TENON_CHECK(assign(entry, text, limit));
    field.push_back(std::move(entry));
    return {};
}

Status assign(std::map<std::string, PluginOptions>&, std::string_view, const Constraint&) {
    return Error{Code::kConfig, "expected a map of backends, each a map of its options"};
}

Status assign(std::map<std::string, Duration>&, std::string_view, const Constraint&) {
    return Error{Code::kConfig, "expected a map of routes, each with a time"};
}

std::string text_of(bool field) { return field ? "true" : "false"; }

std::string text_of(uint32_t field) { return std::to_string(field); }

std::string text_of(double field) { return fmt::format("{}", field); }

std::string text_of(Duration field) {
    for (size_t i = std::size(kUnits); i-- > 1;) {
        if (field.ms % kUnits[i].ms == 0) {
            return fmt::format("{}{}", field.ms / kUnits[i].ms, kUnits[i].name);
        }
    }
    return fmt::format("{}ms", field.ms);
}

std::string text_of(const std::string& field) { return field; }

}  // namespace tenon::config
