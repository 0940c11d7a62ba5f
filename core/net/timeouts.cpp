#include "core/net/timeouts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;

struct Unit {
    std::string_view name;
    int64_t ms;
};
constexpr std::array<Unit, 4> kUnits = {{{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr int64_t kLongestMs = 86'400'000;

constexpr std::array<std::string_view, 6> kHealthPaths = {"/health", "/livez", "/readyz", "/ping",
                                                          "/version", "/health_generate"};

bool matches(std::string_view pattern, std::string_view path) {
    if (!pattern.empty() && pattern.back() == '*') {
        pattern.remove_suffix(1);
        return path.substr(0, pattern.size()) == pattern;
    }
    return path == pattern;
}

}  // namespace

Result<milliseconds> parse_duration(std::string_view text) {
    int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    const std::string_view unit(stop, static_cast<size_t>(end - stop));
    const auto found = std::find_if(kUnits.begin(), kUnits.end(),
                                    [&](const Unit& known) { return known.name == unit; });
    if (error != std::errc() || found == kUnits.end() || number <= 0 ||
        number > kLongestMs / found->ms) {
        return Error{Code::kConfig,
                     fmt::format("'{}' is not a duration such as 500ms, 90s, 10m or 2h, above 0 "
                                 "and at most 24h", text)};
    }
    return milliseconds(number * found->ms);
}

std::string duration_text(milliseconds duration) {
    for (const Unit& unit : kUnits) {
        if (duration.count() % unit.ms == 0 && duration.count() != 0) {
            return fmt::format("{}{}", duration.count() / unit.ms, unit.name);
        }
    }
    return "0ms";
}

Result<TimeoutPolicy> parse_timeouts(
    const std::vector<std::pair<std::string, std::string>>& fields,
    const std::vector<std::pair<std::string, std::string>>& routes) {
    TimeoutPolicy policy;
    for (const auto& [name, text] : fields) {
        Result<milliseconds> duration = parse_duration(text);
        if (!duration.ok()) return std::move(duration).error().within("timeouts." + name);
        if (name == "default") {
            policy.default_time = *duration;
        } else if (name == "extended") {
            policy.extended_time = *duration;
        } else if (name == "health") {
            policy.health_time = *duration;
        } else {
            return Error{Code::kConfig,
                         fmt::format("timeouts.{} is not known; there are default, extended, "
                                     "health and routes", name)};
        }
    }
    for (const auto& [pattern, text] : routes) {
        const std::string where = fmt::format("timeouts.routes[{}]", pattern);
        Result<milliseconds> duration = parse_duration(text);
        if (!duration.ok()) return std::move(duration).error().within(where);
        const bool is_pattern = !pattern.empty() && pattern.front() == '/' &&
                                pattern.find('*') >= pattern.size() - 1;
        if (!is_pattern) {
            return Error{Code::kConfig,
                         where + " must be a path, or the beginning of one with a last '*'"};
        }
        policy.routes.emplace_back(pattern, *duration);
    }
    return policy;
}

ChosenTimeout choose_timeout(const TimeoutPolicy& policy, const RequestShape& shape) {
    for (const auto& [pattern, duration] : policy.routes) {
        if (matches(pattern, shape.path)) {
            return {duration, fmt::format("timeouts.routes[{}]", pattern), "the route says so"};
        }
    }
    if (std::find(kHealthPaths.begin(), kHealthPaths.end(), shape.path) != kHealthPaths.end()) {
        return {policy.health_time, "timeouts.health", "it is a health route"};
    }
    std::string why;
    if (shape.is_streaming) {
        why = "the request streams";
    } else if (shape.max_tokens >= policy.large_max_tokens) {
        why = fmt::format("it asks for {} tokens", shape.max_tokens);
    } else if (shape.model_parameters >= policy.large_model_parameters) {
        why = fmt::format("the model has {} billion parameters",
                          shape.model_parameters / 1'000'000'000);
    }
    if (why.empty()) return {policy.default_time, "timeouts.default", {}};
    return {policy.extended_time, "timeouts.extended", std::move(why)};
}

std::string expiry_text(const ChosenTimeout& timeout) {
    const std::string why = timeout.why.empty() ? "" : fmt::format(", because {}", timeout.why);
    return fmt::format("The request did not end within {} (clock {}{}).",
                       duration_text(timeout.duration), timeout.clock, why);
}

}  // namespace tenon::net
