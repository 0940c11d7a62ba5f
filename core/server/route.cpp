#include "core/server/route.h"

#include <algorithm>
#include <optional>

namespace tenon::server {

namespace {

// What {name} stands for in `path`, empty for a route without one; nothing when it does not fit.
std::optional<std::string_view> name_in(const Route& route, std::string_view path) {
    const size_t brace = route.path.find('{');
    if (brace == std::string::npos) {
        return route.path == path ? std::optional(std::string_view()) : std::nullopt;
    }
    const std::string_view fixed = std::string_view(route.path).substr(0, brace);
    if (path.size() <= fixed.size() || !path.starts_with(fixed)) return std::nullopt;
    return path.substr(fixed.size());
}

}  // namespace

void RouteTable::add(Route route) {
    const bool is_twice = std::any_of(routes_.begin(), routes_.end(), [&](const Route& other) {
        return other.method == route.method && other.path == route.path;
    });
    if (is_twice && fault_.empty()) {
        fault_ = "the route " + route.method + " " + route.path + " was added twice";
    }
    routes_.push_back(std::move(route));
}

RouteTable::Match RouteTable::match(std::string_view method, std::string_view path) const {
    Match match;
    // An exact path wins over one with a {name}.
    for (const bool exact : {true, false}) {
        for (const Route& route : routes_) {
            if ((route.path.find('{') == std::string::npos) != exact) continue;
            const std::optional<std::string_view> name = name_in(route, path);
            if (!name) continue;
            match.allow += (match.allow.empty() ? "" : ", ") + route.method;
            if (route.method == "GET") match.allow += ", HEAD";
            if (route.method == method || (method == "HEAD" && route.method == "GET")) {
                match.route = &route;
                match.name = *name;
                return match;
            }
        }
        if (!match.allow.empty()) break;
    }
    return match;
}

void RequestContext::respond(net::HttpResponse response) {
    add_headers(response.headers);
    exchange->respond(std::move(response));
}

void RequestContext::respond_json(std::string body, int status) {
    net::HttpResponse response;
    response.status = status;
    response.headers.add("Content-Type", "application/json");
    response.body = std::move(body);
    respond(std::move(response));
}

void RequestContext::fail(const ApiError& error) {
    error_code = error.code.empty() ? error.type : error.code;
    respond(error_response(error));
}

net::HttpResponse RequestContext::error_response(const ApiError& error) const {
    return server::error_response(request().path, error);
}

void RequestContext::begin_stream() {
    net::Headers headers;
    headers.add("Content-Type", "text/event-stream; charset=utf-8");
    headers.add("Cache-Control", "no-cache");
    headers.add("X-Accel-Buffering", "no");
    add_headers(headers);
    exchange->begin(200, std::move(headers));
}

void RequestContext::add_headers(net::Headers& headers) const {
    add_common_headers(headers, request_id, traceparent, cors_origin);
}

void add_common_headers(net::Headers& headers, const std::string& request_id,
                        const std::string& traceparent, const std::string& cors_origin) {
    headers.set("x-request-id", request_id);
    if (!traceparent.empty()) headers.set("traceparent", traceparent);
    headers.set("X-Content-Type-Options", "nosniff");
    if (cors_origin.empty()) return;
    headers.set("Access-Control-Allow-Origin", cors_origin);
    headers.set("Access-Control-Expose-Headers", "x-request-id, Retry-After");
    headers.set("Vary", "Origin");
}

bool speaks_anthropic(std::string_view path) {
    return path == "/v1/messages" || path.starts_with("/v1/messages/");
}

net::HttpResponse error_response(std::string_view path, const ApiError& error) {
    return speaks_anthropic(path) ? anthropic_response(error) : openai_response(error);
}

}  // namespace tenon::server
