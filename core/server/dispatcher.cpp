#include "core/server/dispatcher.h"

#include "core/server/admission.h"
#include "core/server/metrics.h"
#include "core/server/request_ids.h"
#include "core/server/route_clock.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace tenon::server {

namespace {

// Addresses remembered at once; beyond it the others share a place.
constexpr size_t kAddressesMax = 16'384;

// Handler::Access is another noun.
using RouteAccess = server::Access;

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kTokenCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

ApiError not_found(std::string_view method, std::string_view path) {
    return {404,
            "invalid_request_error",
            "not_found",
            "",
            fmt::format("There is no {} {} here; /openapi.json lists what there is.", method,
                        path.substr(0, 200)),
            {}};
}

ApiError unauthorised(bool is_missing) {
    return {401,
            "authentication_error",
            is_missing ? "missing_api_key" : "invalid_api_key",
            "",
            is_missing ? "A key is wanted: send it as 'Authorization: Bearer KEY' or 'x-api-key'."
                       : "This key is not known here.",
            {}};
}

// The key that a request presents: nothing, or one. Two that differ are not a key.
std::optional<std::string_view> presented_key(const net::Headers& headers) {
    std::optional<std::string_view> found;
    for (const net::Header& header : headers.all()) {
        std::string name = header.name;
        for (char& c : name)
            c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        std::string_view value = header.value;
        if (name == "authorization") {
            const size_t blank = value.find(' ');
            std::string scheme(value.substr(0, blank));
            for (char& c : scheme)
                c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
            if (scheme != "bearer" || blank == std::string_view::npos) return "";
            value = value.substr(std::min(value.find_first_not_of(' ', blank), value.size()));
        } else if (name != "x-api-key") {
            continue;
        }
        if (found && *found != value) return "";
        found = value;
    }
    return found;
}

bool has_bodyless_method(std::string_view method) {
    return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

}  // namespace

struct Dispatcher::Doors {
    explicit Doors(const config::Limits& limits)
        : failures(limits.failed_auth_per_minute,
                   std::chrono::milliseconds(limits.failed_auth_block_ms), kAddressesMax) {}
    std::mutex mutex;
    FailureLimiter failures;
    std::unordered_map<std::string, uint32_t> strangers;  // requests in flight without a key
};

Dispatcher::Dispatcher(const RouteTable& table, Service& service, KeyRing* keys,
                       DispatcherOptions options)
    : table_(table),
      service_(service),
      keys_(keys),
      options_(std::move(options)),
      doors_(std::make_shared<Doors>(service.limits)) {}

Dispatcher::~Dispatcher() = default;

bool Dispatcher::is_served_here(const Route& route) const {
    if (route.access == RouteAccess::kPublic) return true;
    return (route.access == RouteAccess::kAdmin) == (options_.listener == Listener::kAdmin);
}

net::HeadDecision Dispatcher::on_head(const net::HttpRequest& head) {
    auto record = std::make_shared<RequestRecord>(options_.sinks);
    record->received = std::chrono::steady_clock::now();
    record->method = head.method.substr(0, 16);
    record->path = head.path.substr(0, 256);
    record->client = head.client;
    record->request_id = choose_request_id(head.headers.find("x-request-id"));
    record->traceparent = check_traceparent(head.headers.find("traceparent"));
    if (const std::string* origin = head.headers.find("Origin")) {
        const auto& listed = options_.cors_origins;
        if (std::find(listed.begin(), listed.end(), *origin) != listed.end()) {
            record->cors_origin = *origin;
        } else if (std::find(listed.begin(), listed.end(), "*") != listed.end()) {
            record->cors_origin.assign(1, '*');
        }
    }
    net::HeadDecision decision;
    decision.context = record;
    const RouteTable::Match match = table_.match(head.method, head.path);
    const bool is_here = match.route != nullptr && is_served_here(*match.route);
    if (match.route != nullptr && !is_here) {
        decision.refusal = refuse(*record, not_found(head.method, head.path));
        return decision;
    }
    if (match.route == nullptr) {
        if (match.allow.empty()) {
            decision.refusal = refuse(*record, not_found(head.method, head.path));
        } else if (head.method == "OPTIONS") {
            decision.refusal = answer_options(head, *record, match.allow);
        } else {
            decision.refusal =
                refuse(*record, {405,
                                 "invalid_request_error",
                                 "method_not_allowed",
                                 "",
                                 fmt::format("{} takes {}, not {}.", head.path.substr(0, 200),
                                             match.allow, head.method.substr(0, 16)),
                                 {}});
            decision.refusal->headers.set("Allow", match.allow);
        }
        return decision;
    }
    record->route = match.route;
    record->name = match.name;
    std::optional<ApiError> fault = authorise(head, *record);
    if (!fault && match.route->access == RouteAccess::kKey && !service_.is_loaded.load()) {
        fault = {503, "server_error", "loading", "", "The model is still loading.", 1};
    }
    if (fault) {
        decision.refusal = refuse(*record, *fault);
        if (fault->status == 401) decision.refusal->headers.set("WWW-Authenticate", "Bearer");
        return decision;
    }
    if (match.route->is_inference && service_.admission != nullptr) {
        // A full queue costs neither the reading of a body nor its tokens.
        const std::string* length = head.headers.find("Content-Length");
        const uint64_t bytes = length == nullptr ? 0 : std::strtoull(length->c_str(), nullptr, 10);
        if (const auto refusal = service_.admission->refuse_early(bytes)) {
            decision.refusal = refuse(*record, *refusal);
            return decision;
        }
    }
    decision.is_slow = match.route->is_slow;
    // A body that nobody reads may be small.
    if (has_bodyless_method(match.route->method)) decision.body_bytes = 64 << 10;
    return decision;
}

std::optional<ApiError> Dispatcher::authorise(const net::HttpRequest& head, RequestRecord& record) {
    const RouteAccess access = record.route->access;
    const bool wants_key =
        keys_ != nullptr && (access == RouteAccess::kKey ||
                             (access == RouteAccess::kAdmin && options_.admin_needs_key));
    if (keys_ == nullptr) return std::nullopt;
    const std::optional<std::string_view> presented = presented_key(head.headers);
    if (presented) {
        const std::shared_ptr<const KeySet> keys = keys_->keys();
        if (const ApiKey* key = keys->find(*presented)) {
            record.caller = key->caller;
            return std::nullopt;
        }
    }
    if (!wants_key) return take_place(head, record);
    if (options_.sinks.metrics != nullptr) options_.sinks.metrics->on_auth_failure();
    double wait_s = 0;
    // A right key is let in above, also from an address that sent wrong ones: who guesses must not
    // shut out others behind the same address.
    if (presented && !head.client.empty() &&
        !(options_.is_proxy && options_.is_proxy(head.client))) {
        const std::lock_guard lock(doors_->mutex);
        wait_s = doors_->failures.on_failure(head.client, record.received);
    }
    if (wait_s == 0) return unauthorised(!presented);
    return ApiError{429,
                    "rate_limit_error",
                    "too_many_failures",
                    "",
                    "Too many wrong keys came from this address; try again later.",
                    std::clamp(static_cast<int>(std::ceil(wait_s)), 1, 60)};
}

std::optional<ApiError> Dispatcher::take_place(const net::HttpRequest& head,
                                               RequestRecord& record) {
    if (head.client.empty() || (options_.is_proxy && options_.is_proxy(head.client))) {
        return std::nullopt;
    }
    const std::lock_guard lock(doors_->mutex);
    auto& strangers = doors_->strangers;
    const bool is_known = strangers.contains(head.client) || strangers.size() < kAddressesMax;
    const std::string place = is_known ? head.client : std::string(1, '*');
    uint32_t& count = strangers[place];
    if (count >= service_.limits.unauthenticated_per_ip) {
        return ApiError{429,
                        "rate_limit_error",
                        "too_many_requests",
                        "",
                        fmt::format("More than {} requests without a key are in flight from this "
                                    "address.",
                                    service_.limits.unauthenticated_per_ip),
                        1};
    }
    ++count;
    record.hold = std::shared_ptr<void>(nullptr, [doors = doors_, place](void*) {
        const std::lock_guard guard(doors->mutex);
        const auto found = doors->strangers.find(place);
        if (found != doors->strangers.end() && --found->second == 0) doors->strangers.erase(found);
    });
    return std::nullopt;
}

net::HttpResponse Dispatcher::answer_options(const net::HttpRequest& head,
                                             const RequestRecord& record,
                                             const std::string& allow) const {
    net::HttpResponse response;
    response.status = 204;
    response.headers.add("Allow", allow + ", OPTIONS");
    if (!record.cors_origin.empty() &&
        head.headers.find("Access-Control-Request-Method") != nullptr) {
        response.headers.add("Access-Control-Allow-Origin", record.cors_origin);
        response.headers.add("Access-Control-Allow-Methods", allow);
        response.headers.add("Access-Control-Max-Age", "600");
        response.headers.add("Vary", "Origin");
        // The page's own list, if it is one of names.
        const std::string* wanted = head.headers.find("Access-Control-Request-Headers");
        if (wanted != nullptr && wanted->size() <= 1024 &&
            wanted->find_first_not_of(std::string(kTokenCharacters) + ", ") == std::string::npos) {
            response.headers.add("Access-Control-Allow-Headers", *wanted);
        }
    }
    response.headers.add("x-request-id", record.request_id);
    return response;
}

net::HttpResponse Dispatcher::refuse(RequestRecord& record, const ApiError& error) const {
    record.refuse(error.code);
    net::HttpResponse response = error_response(record.path, error);
    add_common_headers(response.headers, record.request_id, record.traceparent, record.cors_origin);
    return response;
}

void Dispatcher::on_request(std::shared_ptr<net::Exchange> exchange,
                            std::shared_ptr<void> context) {
    auto record = std::static_pointer_cast<RequestRecord>(std::move(context));
    const Route* route = record->route;
    std::shared_ptr<RequestContext> request =
        RequestRecord::open_context(std::move(record), std::move(exchange));
    start_route_clock(service_, *request);
    route->run(std::move(request));
}

net::HttpResponse Dispatcher::on_error(int status, std::string_view sentence) {
    const char* type = status == 429   ? "rate_limit_error"
                       : status >= 500 ? "server_error"
                                       : "invalid_request_error";
    const char* code = status == 408   ? "request_timeout"
                       : status == 413 ? "request_too_large"
                       : status == 421 ? "misdirected_request"
                       : status >= 500 ? "overloaded"
                                       : "invalid_request";
    ApiError error{status, type, code, "", std::string(sentence), {}};
    if (status == 503 || status == 429) error.retry_after_s = 1;
    return openai_response(error);
}

void Dispatcher::on_access(const Access& access) {
    std::shared_ptr<RequestRecord> record = std::static_pointer_cast<RequestRecord>(access.context);
    if (!record) {
        // The head was not one: nothing was decided about it.
        record = std::make_shared<RequestRecord>(options_.sinks);
        record->request_id = choose_request_id(nullptr);
        if (access.request != nullptr) {
            record->method = access.request->method.substr(0, 16);
            record->path = access.request->path.substr(0, 256);
            record->client = access.request->client;
        }
        record->refuse("not_read");
    }
    record->on_access(access);
}

std::string choose_request_id(const std::string* given) {
    if (given != nullptr && !given->empty() && given->size() <= 64 &&
        given->find_first_not_of(kTokenCharacters) == std::string::npos) {
        return *given;
    }
    return make_id("req_");
}

std::string check_traceparent(const std::string* given) {
    // 00-<32 hex>-<16 hex>-<2 hex>; an id of zeros is none.
    if (given == nullptr || given->size() != 55 || !given->starts_with("00-")) return {};
    for (size_t i = 3; i < given->size(); ++i) {
        const bool is_dash = i == 35 || i == 52;
        if (is_dash ? (*given)[i] != '-' : kHex.find((*given)[i]) == std::string_view::npos) {
            return {};
        }
    }
    const std::string_view text = *given;
    const auto is_zero = [](std::string_view id) {
        return id.find_first_not_of('0') == std::string_view::npos;
    };
    return is_zero(text.substr(3, 32)) || is_zero(text.substr(36, 16)) ? "" : *given;
}

}  // namespace tenon::server
