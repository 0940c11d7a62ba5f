// From a request's head to its route: who asks, may they, and which clock runs.
#pragma once

#include "core/net/http_server.h"
#include "core/server/api_keys.h"
#include "core/server/request_record.h"
#include "core/server/route.h"
#include "core/server/service.h"
#include "core/server/token_bucket.h"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace tenon::server {

// The first listener serves the API, the second one metrics and administration.
enum class Listener : uint8_t { kApi, kAdmin };

struct DispatcherOptions {
    Listener listener = Listener::kApi;
    bool admin_needs_key = false;  // the second listener is reachable from outside
    std::vector<std::string> cors_origins;
    // Whether limits by address do not apply to this one: a proxy of ours.
    std::function<bool(const net::Address&)> is_proxy;
    RecordSinks sinks;
};

// Decides from the head alone and binds the decision to the route object that was matched, which is
// the one that runs. Everything that is passed in outlives it.
class Dispatcher : public net::Handler {
public:
    // `keys` null: nobody is asked, and what clients send as a key is ignored.
    Dispatcher(const RouteTable& table, Service& service, KeyRing* keys, DispatcherOptions options);
    ~Dispatcher() override;

    net::HeadDecision on_head(const net::HttpRequest& head) override;
    void on_request(std::shared_ptr<net::Exchange> exchange,
                    std::shared_ptr<void> context) override;
    net::HttpResponse on_error(int status, std::string_view sentence) override;
    void on_access(const Access& access) override;

private:
    struct Doors;  // per address: requests in flight that have no key, wrong keys

    bool is_served_here(const Route& route) const;
    // Sets record.caller. Nothing when the caller may go on.
    std::optional<ApiError> authorise(const net::HttpRequest& head, RequestRecord& record);
    std::optional<ApiError> take_place(const net::HttpRequest& head, RequestRecord& record);
    net::HttpResponse answer_options(const net::HttpRequest& head, const RequestRecord& record,
                                     const std::string& allow) const;
    net::HttpResponse refuse(RequestRecord& record, const ApiError& error) const;

    const RouteTable& table_;
    Service& service_;
    KeyRing* keys_;
    DispatcherOptions options_;
    std::shared_ptr<Doors> doors_;
};

// The client's id when it is [A-Za-z0-9._-]{1,64}, else a new one.
std::string choose_request_id(const std::string* given);
// `given` when it is a traceparent of W3C Trace Context, version 00; else empty.
std::string check_traceparent(const std::string* given);

}  // namespace tenon::server
