#include "core/host/option_spec.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "core/base/bytes.h"

namespace tenon::host {
namespace {

constexpr size_t kShownMax = 80;

template <class T>
bool parse(std::string_view text, T* value) {
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), *value);
    return fault == std::errc() && end == text.data() + text.size();
}

std::string range_text(const OptionSpec& option) {
    const bool has_min = option.min != std::numeric_limits<int64_t>::min();
    const bool has_max = option.max != std::numeric_limits<int64_t>::max();
    if (has_min && has_max) return fmt::format(" from {} to {}", option.min, option.max);
    if (has_min) return fmt::format(" of at least {}", option.min);
    return has_max ? fmt::format(" of at most {}", option.max) : "";
}

}  // namespace

std::string value_problem(const OptionSpec& option, std::string_view value) {
    const auto wanted = [&](const std::string& what) {
        return fmt::format("expected {}, got '{}'", what, printable(value, kShownMax));
    };
    switch (option.type) {
        case OptionSpec::Type::kBool:
            return value == "true" || value == "false" ? "" : wanted("true or false");
        case OptionSpec::Type::kInt: {
            int64_t number = 0;
            const bool fits = parse(value, &number) && number >= option.min && number <= option.max;
            return fits ? "" : wanted("a whole number" + range_text(option));
        }
        case OptionSpec::Type::kFloat: {
            double number = 0;
            return parse(value, &number) && std::isfinite(number) ? "" : wanted("a number");
        }
        case OptionSpec::Type::kString: break;
    }
    return "";
}

}  // namespace tenon::host
