#include "core/net/timeouts.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::net {
namespace {

// A guess for a model that was not measured: 20 ms of a token for each billion of parameters.
constexpr double kTokenMsOfParameter = 20e-9;
constexpr double kTokenMsUnknown = 50;
// An answer expected to take more than this share of the default clock gets the extended one.
constexpr double kShortShare = 1.0 / 3;

bool fits(std::string_view pattern, std::string_view path) {
    if (!pattern.empty() && pattern.back() == '*') {
        pattern.remove_suffix(1);
        return path.substr(0, pattern.size()) == pattern;
    }
    return path == pattern;
}

double token_ms(const RequestShape& shape) {
    if (shape.token_ms > 0) return shape.token_ms;
    if (shape.model_parameters == 0) return kTokenMsUnknown;
    return std::max(1.0, static_cast<double>(shape.model_parameters) * kTokenMsOfParameter);
}

std::chrono::milliseconds ms_of(const config::Duration& duration) {
    return std::chrono::milliseconds(duration.ms);
}

std::string text_of(std::chrono::milliseconds duration) {
    const int64_t ms = duration.count();
    return ms % 1000 == 0 ? fmt::format("{} s", ms / 1000) : fmt::format("{} ms", ms);
}

}  // namespace

ChosenTimeout choose_timeout(const config::TimeoutConfig& timeouts, const RequestShape& shape) {
    const std::pair<const std::string, config::Duration>* best = nullptr;
    for (const auto& route : timeouts.routes) {
        const bool is_longer = best == nullptr || route.first.size() >= best->first.size();
        const bool is_exact = route.first == shape.path;
        if (fits(route.first, shape.path) && (is_exact || is_longer)) best = &route;
        if (is_exact) break;
    }
    if (best != nullptr) {
        return {ms_of(best->second), fmt::format("timeouts.routes[{}]", best->first),
                "the configuration names its route"};
    }
    if (!shape.is_computing) {
        return {ms_of(timeouts.health), "timeouts.health", "it computes nothing"};
    }
    const double expected_ms = static_cast<double>(shape.tokens_max) * token_ms(shape);
    std::string why;
    if (shape.is_streaming) {
        why = "the request streams";
    } else if (expected_ms > static_cast<double>(timeouts.usual.ms) * kShortShare) {
        why = fmt::format("{} tokens of this model may take {:.0f} s", shape.tokens_max,
                          expected_ms / 1000);
    }
    if (why.empty()) return {ms_of(timeouts.usual), "timeouts.default", {}};
    return {ms_of(timeouts.extended), "timeouts.extended", std::move(why)};
}

std::string expiry_text(const ChosenTimeout& timeout) {
    const std::string why = timeout.why.empty() ? "" : fmt::format("; {}", timeout.why);
    return fmt::format("The request did not end within {} (clock {}{}).", text_of(timeout.duration),
                       timeout.clock, why);
}

}  // namespace tenon::net
