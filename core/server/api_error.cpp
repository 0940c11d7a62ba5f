#include "core/server/api_error.h"

#include "core/base/json_writer.h"
#include "core/server/request_ids.h"

#include <utility>

namespace tenon::server {

namespace {

void nullable(JsonWriter& json, std::string_view name, const std::string& text) {
    json.key(name);
    text.empty() ? json.null() : json.value(text);
}

// The type that Anthropic's clients turn into their exceptions.
const char* anthropic_type(int status) {
    switch (status) {
        case 400: return "invalid_request_error";
        case 401: return "authentication_error";
        case 403: return "permission_error";
        case 404: return "not_found_error";
        case 413: return "request_too_large";
        case 429: return "rate_limit_error";
        case 503: return "overloaded_error";
        case 504: return "timeout_error";
        default: return status < 500 ? "invalid_request_error" : "api_error";
    }
}

net::HttpResponse response(const ApiError& error, std::string body) {
    net::HttpResponse out;
    out.status = error.status;
    out.headers.add("Content-Type", "application/json");
    if (error.retry_after_s) out.headers.add("Retry-After", std::to_string(*error.retry_after_s));
    out.body = std::move(body);
    return out;
}

ApiError server_error(int status, std::string code, std::string message,
                      std::optional<int> retry_after_s = std::nullopt) {
    return {status, "server_error", std::move(code), "", std::move(message), retry_after_s};
}

// Spread, so that all who were refused at once do not come back at once.
int soon() { return 1 + static_cast<int>(random_bits() % 5); }

}  // namespace

ApiError bad_field(std::string param, std::string message) {
    return {400, "invalid_request_error", "invalid_value", std::move(param), std::move(message),
            {}};
}

ApiError error_of(const Error& error) {
    switch (error.code) {
        case Code::kInvalid:
        case Code::kUnsupported:
            return {400, "invalid_request_error", "invalid_request", "", error.message, {}};
        case Code::kBusy:
            return server_error(503, "overloaded",
                                "The server has no room for this request now; try again later.",
                                soon());
        case Code::kTimeout:
            return server_error(504, "timeout", "The request took longer than its time limit.");
        case Code::kCancelled:
            return server_error(503, "cancelled", "The server ended this request; try again.",
                                soon());
        case Code::kDeviceLost:
            return server_error(503, "worker_lost",
                                "The worker that computed this request was lost; try again.",
                                soon());
        case Code::kOomDevice:
        case Code::kOomHost:
            return server_error(503, "out_of_memory",
                                "Memory for this request is not free now; try again later.",
                                soon());
        case Code::kData:
            return server_error(500, "numeric_error",
                                "The model's output for this request was not a number.");
        default: return server_error(500, "internal_error", "The server failed on this request.");
    }
}

std::string openai_body(const ApiError& error) {
    JsonWriter json;
    json.begin_object().key("error").begin_object();
    json.field("message", error.message).field("type", error.type);
    nullable(json, "param", error.param);
    nullable(json, "code", error.code);
    if (error.code == "worker_lost") json.field("retryable", true);
    json.end_object().end_object();
    return json.text();
}

std::string anthropic_body(const ApiError& error) {
    JsonWriter json;
    json.begin_object().field("type", "error").key("error").begin_object();
    json.field("type", anthropic_type(error.status)).field("message", error.message);
    if (!error.param.empty()) json.field("param", error.param);
    if (!error.code.empty()) json.field("code", error.code);
    if (error.code == "worker_lost") json.field("retryable", true);
    json.end_object().end_object();
    return json.text();
}

net::HttpResponse openai_response(const ApiError& error) {
    return response(error, openai_body(error));
}

net::HttpResponse anthropic_response(const ApiError& error) {
    return response(error, anthropic_body(error));
}

}  // namespace tenon::server
