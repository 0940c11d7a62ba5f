// HTTP/1.1 client with a pool of connections per origin: for the router, benchmarks and downloads
// on trusted networks.
#pragma once

#include "core/base/result.h"
#include "core/net/client_proxy.h"
#include "core/net/http.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace tenon::net {

struct ClientOptions {
    uint32_t io_threads = 1;
    uint32_t connections_per_origin = 256;  // shared out among the threads; more requests wait
    std::chrono::milliseconds connect_timeout{1000};
    std::chrono::milliseconds idle_timeout{60'000};  // of pooled connections
    uint32_t response_header_bytes = 64 << 10;
    uint64_t response_body_bytes = uint64_t{64} << 20;  // of send(); streams have no limit
    bool verify_tls = true;
    std::string ca_file;  // PEM; empty: the system's
    ProxyRules proxies;   // none: every request goes directly
};

// What is sent. url: http:// or https://, host, optional port, target.
struct ClientRequest {
    std::string method = "GET";
    std::string url;
    Headers headers;  // Host and Content-Length are the client's
    std::string body;
    std::chrono::milliseconds timeout{0};     // until the answer is complete; 0: none
    std::chrono::milliseconds first_byte{0};  // until its head, counted from the start too
    std::chrono::milliseconds between{0};     // between two pieces of its body, pauses left out
    bool is_repeatable = false;  // as if its method were idempotent: doing it twice does no harm
};

// Callbacks run on a thread of the client, in order; on_end exactly once, always last. They may
// start, cancel and pause, but neither send() nor destroy the client.
//
// Errors of on_end: kInvalid: the request cannot be sent, or the certificate is refused, or a proxy
// refuses it. kBusy: nobody answers there, or the connection closed before a byte of the answer. kTimeout: the message
// starts with the clock's name: connect, first-byte, between or total. kData: the answer is cut or
// malformed. kCancelled.
//
// A request that dies on a pooled connection before a byte of its answer is sent once more, on a
// fresh one, if its method is idempotent, it is repeatable or the peer never took all of it.
struct ClientCallbacks {
    std::function<void(int status, const Headers&)> on_head;
    std::function<void(std::string_view)> on_body;
    std::function<void(Status)> on_end;
};

// Names a request in flight; cancel() closes its connection, which never returns to the pool.
class ClientCall {
public:
    virtual ~ClientCall() = default;
    virtual void cancel() = 0;
    // Stops and resumes reading from the socket: back-pressure of a relay.
    virtual void pause(bool paused) = 0;
};

class Client {
public:
    static Result<std::unique_ptr<Client>> create(ClientOptions options = {});
    virtual ~Client() = default;  // cancels everything; returns when no callback runs any more

    virtual std::shared_ptr<ClientCall> start(ClientRequest request, ClientCallbacks callbacks) = 0;
    // Blocks the caller until the whole answer is there.
    virtual Result<HttpResponse> send(ClientRequest request) = 0;
};

}  // namespace tenon::net
