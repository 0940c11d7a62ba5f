// One HTTP request after another for downloads: blocks, follows redirects, stops when asked.
#pragma once

#include "core/base/result.h"
#include "core/net/http_client.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace tenon::hub {

struct FetchOptions {
    uint32_t connections = 4;
    // Without a connection, an answer or another byte for so long, a request fails; also when less
    // than kBytesPerSecondMin come on average in that time.
    std::chrono::milliseconds timeout{30'000};
    net::ProxyRules proxies;
};

// The final answer of a request, without its body.
struct FetchAnswer {
    int status = 0;
    net::Headers headers;
    net::Headers first_headers;  // of the first answer: differs when there was a redirect
    net::ClientRequest sent;     // the request that was answered, to be sent again
};

// Where a body goes. Both run on a thread of the client; an error ends the request with it.
struct FetchSink {
    // The final head; may decline the body with kCancelled, which is then no error of the request.
    std::function<Status(const FetchAnswer&)> on_head;
    std::function<Status(std::string_view)> on_body;
};

class Fetcher {
public:
    static constexpr uint64_t kBytesPerSecondMin = 1024;
    static constexpr int kRedirectsMax = 5;

    // `cancel` is read until the fetcher dies; null: never cancelled.
    static Result<std::unique_ptr<Fetcher>> create(const FetchOptions& options,
                                                   const uint32_t* cancel);
    virtual ~Fetcher() = default;

    // From any thread. kCancelled when asked to stop; else the errors of the sink and of
    // net::ClientCallbacks.
    virtual Result<FetchAnswer> get(net::ClientRequest request, const FetchSink& sink) = 0;
    // With the whole body, of at most `bytes_max`.
    Result<FetchAnswer> get_text(net::ClientRequest request, uint64_t bytes_max, std::string& body);

    // Ends every request in flight and all later ones with kCancelled.
    virtual void stop() = 0;
    // Waits; false when asked to stop meanwhile.
    virtual bool wait(std::chrono::milliseconds time) const = 0;
    virtual const FetchOptions& options() const = 0;
};

}  // namespace tenon::hub
