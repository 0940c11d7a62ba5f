// Which of the configured clocks a request runs against.
#pragma once

#include "core/net/timeouts.h"
#include "core/server/service.h"

#include <cstdint>

namespace tenon::server {

// `tokens_max`: of the longest answer.
net::ChosenTimeout choose_clock(const Service& service, const Route& route, uint64_t tokens_max,
                                bool is_stream);

// The error that says which clock fired.
ApiError clock_error(const net::ChosenTimeout& choice);

// Before the body is understood: the clock of the longest answer.
void start_route_clock(const Service& service, RequestContext& context);

}  // namespace tenon::server
