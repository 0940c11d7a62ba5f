// How long a request may take, chosen from what it asks for. Values and pure functions.
#pragma once

#include "core/base/result.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tenon::net {

// "500ms", "90s", "10m", "2h"; a whole number and a unit, above zero, at most 24 h.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// The shortest such text: 90000 ms is "90s".
std::string duration_text(std::chrono::milliseconds duration);

struct TimeoutPolicy {
    std::chrono::milliseconds default_time{90'000};
    std::chrono::milliseconds extended_time{600'000};
    std::chrono::milliseconds health_time{2'000};
    // Patterns of paths, first match wins: "/v1/embeddings" exactly, or "/v1/*" for what begins so.
    std::vector<std::pair<std::string, std::chrono::milliseconds>> routes;

    // Where extended_time begins.
    uint32_t large_max_tokens = 2'048;
    uint64_t large_model_parameters = 13'000'000'000;
};

// YAML section `timeouts:` as text pairs: default, extended, health; and of `routes:`, pattern and
// duration. kConfig naming what is wrong.
Result<TimeoutPolicy> parse_timeouts(
    const std::vector<std::pair<std::string, std::string>>& fields,
    const std::vector<std::pair<std::string, std::string>>& routes);

// What is known of a request when its clock starts.
struct RequestShape {
    std::string_view path;
    uint64_t model_parameters = 0;  // 0: unknown, or no model is asked
    uint32_t max_tokens = 0;        // 0: none named
    bool is_streaming = false;
};

struct ChosenTimeout {
    std::chrono::milliseconds duration{0};
    std::string clock;  // "timeouts.default", "timeouts.extended", "timeouts.health",
                        // "timeouts.routes[/v1/*]"
    std::string why;    // "the request streams"; empty for the default
};

// A route's own pattern, else health for the health routes, else extended for a stream, a large
// max_tokens or a large model, else default.
ChosenTimeout choose_timeout(const TimeoutPolicy& policy, const RequestShape& shape);

// The sentence of an expiry: how long, and which clock fired.
std::string expiry_text(const ChosenTimeout& timeout);

}  // namespace tenon::net
