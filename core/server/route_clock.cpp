#include "core/server/route_clock.h"

namespace tenon::server {

net::ChosenTimeout choose_clock(const Service& service, const Route& route, uint64_t tokens_max,
                                bool is_stream) {
    net::RequestShape shape;
    shape.path = route.path;
    shape.is_computing = route.is_inference || route.is_slow;
    shape.is_streaming = is_stream;
    shape.tokens_max = tokens_max;
    if (route.is_inference && service.is_loaded.load() && service.engine != nullptr) {
        const engine::EngineStats stats = service.engine->stats();
        if (stats.tokens_per_second > 0 && stats.running > 0) {
            shape.token_ms = 1000.0 * stats.running / stats.tokens_per_second;
        }
        if (const auto info = service.engine->info()) shape.model_parameters = info->parameters;
    }
    return net::choose_timeout(service.timeouts, shape);
}

ApiError clock_error(const net::ChosenTimeout& choice) {
    return {504, "server_error", "timeout", "", net::expiry_text(choice), {}};
}

void start_route_clock(const Service& service, RequestContext& context) {
    const Route& route = *context.route;
    const net::ChosenTimeout choice = choose_clock(service, route, 0, route.is_inference);
    ApiError error = clock_error(choice);
    // A probe that got no answer is told what it asked for: not ready.
    if (route.access == Access::kPublic) error.status = 503;
    net::HttpResponse response = context.error_response(error);
    context.add_headers(response.headers);
    context.exchange->set_deadline(choice.duration, {std::move(response), ""});
}

}  // namespace tenon::server
