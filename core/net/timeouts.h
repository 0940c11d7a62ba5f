// How long a request may take, chosen from what it asks for. Values and pure functions; durations
// and patterns come from the section `timeouts:` of the configuration.
#pragma once

#include "core/config/serve_config.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::net {

// What is known of a request when its clock starts.
struct RequestShape {
    std::string_view path;
    bool is_computing = true;  // false: health and information routes
    bool is_streaming = false;
    uint64_t tokens_max = 0;        // of the longest answer; 0: unknown
    uint64_t model_parameters = 0;  // 0: unknown
    double token_ms = 0;            // measured now; 0: guessed from the model's size
};

struct ChosenTimeout {
    std::chrono::milliseconds duration{0};
    std::string clock;  // "timeouts.default", "timeouts.extended", "timeouts.health",
                        // "timeouts.routes[/v1/*]"
    std::string why;    // "the request streams"; empty for the default
};

// A pattern of timeouts.routes, the longest that fits, exact before one with a last '*'; else
// health for what computes nothing; else extended for a stream and for an answer that by its
// tokens and the model's size may take more than a third of the default; else default.
ChosenTimeout choose_timeout(const config::TimeoutConfig& timeouts, const RequestShape& shape);

// The sentence of an expiry: how long, and which clock fired.
std::string expiry_text(const ChosenTimeout& timeout);

}  // namespace tenon::net
