// An error as clients see it. Texts are ours alone: never a library's, never a pointer or a path.
#pragma once

#include "core/base/result.h"
#include "core/net/http.h"

#include <optional>
#include <string>

namespace tenon::server {

struct ApiError {
    int status = 400;
    std::string type;     // "invalid_request_error", "authentication_error", "server_error", ...
    std::string code;     // "context_length_exceeded", "unknown_model", ...; empty: null
    std::string param;    // the field it is about; empty: null
    std::string message;  // one sentence: seen, wanted
    std::optional<int> retry_after_s;
};

// 400 of a field.
ApiError bad_field(std::string param, std::string message);
// What an engine's error becomes: kBusy 503, kTimeout 503 or 504, kData 500 numeric_error,
// kDeviceLost 503 worker_lost (retryable), kInvalid 400, else 500.
ApiError error_of(const Error& error);

// {"error":{"message","type","param","code"}} and the Anthropic form
// {"type":"error","error":{"type","message"}}.
std::string openai_body(const ApiError& error);
std::string anthropic_body(const ApiError& error);
net::HttpResponse openai_response(const ApiError& error);
net::HttpResponse anthropic_response(const ApiError& error);

}  // namespace tenon::server
