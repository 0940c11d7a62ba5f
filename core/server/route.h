// The route table: what exists, who may call it, on which listener. Authorisation is a property of
// the route that was matched, so nothing can be reached by writing its path in another way.
#pragma once

#include "core/net/http_server.h"
#include "core/server/api_error.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::server {

enum class Access : uint8_t {
    kKey,     // an API key (any, when auth is "none"): the default
    kPublic,  // nobody is asked
    kAdmin,   // the second listener only
};

// Who asks. With auth "none" everybody is the one anonymous caller.
struct Caller {
    std::string key_id;       // first 8 hex digits of the key's SHA-256; empty: anonymous
    uint32_t key_number = 0;  // small number of the key, for the scheduler
    std::string cache_scope;  // requests of equal scope share cached prefixes
    int32_t priority = 0;
};

// One request on its way through a route. Owned by whoever answers.
struct RequestContext {
    std::shared_ptr<net::Exchange> exchange;
    const struct Route* route = nullptr;
    Caller caller;
    std::string request_id;   // the client's, if it is [A-Za-z0-9._-]{1,64}, else ours; echoed
    std::string traceparent;  // W3C, passed on; may be empty
    std::string name;         // what the route's {name} matched
    std::string cors_origin;  // the Origin that may read the answer; empty: none
    std::chrono::steady_clock::time_point received;
    // Facts for the access log and the metrics, filled in by the handler.
    std::string model;
    uint32_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;
    double queue_ms = 0, first_token_ms = 0;
    std::string error_code, finish_reason;

    const net::HttpRequest& request() const { return exchange->request(); }
    // Answers with the echoed request id and the headers that every answer has.
    void respond(net::HttpResponse response);
    void respond_json(std::string body, int status = 200);
    // In the form of the route: Anthropic's below /v1/messages, else OpenAI's.
    void fail(const ApiError& error);
    net::HttpResponse error_response(const ApiError& error) const;
    // Starts text/event-stream with the headers that proxies need.
    void begin_stream();
    void add_headers(net::Headers& headers) const;
};

// What every answer carries; empty texts are left out.
void add_common_headers(net::Headers& headers, const std::string& request_id,
                        const std::string& traceparent, const std::string& cors_origin);

// Whether the errors of this path have Anthropic's form.
bool speaks_anthropic(std::string_view path);
net::HttpResponse error_response(std::string_view path, const ApiError& error);

using RouteHandler = std::function<void(std::shared_ptr<RequestContext>)>;

struct Route {
    std::string method;  // "GET"
    std::string path;  // exact, such as "/v1/models", or with one last {name}: "/v1/models/{model}"
    Access access = Access::kKey;
    bool is_slow = false;       // runs on a worker thread: tokenizing, rendering templates
    bool is_inference = false;  // counts against queue, rate and token limits
    const char* summary = "";   // for /openapi.json
    RouteHandler run;
};

// Built at start, then immutable. Thread-safe to read.
class RouteTable {
public:
    // Adding the same method and path twice is a mistake of the program: fault() names it and the
    // server does not start.
    void add(Route route);
    const std::string& fault() const noexcept { return fault_; }
    struct Match {
        const Route* route = nullptr;  // null: nothing here
        std::string allow;             // of a path with other methods: "GET, POST" (405)
        std::string name;              // what {name} matched
    };
    Match match(std::string_view method, std::string_view path) const;
    const std::vector<Route>& routes() const noexcept { return routes_; }

private:
    std::vector<Route> routes_;
    std::string fault_;
};

}  // namespace tenon::server
