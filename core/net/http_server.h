// HTTP/1.1 server: connections, limits and clocks. Knows no route and no JSON.
//
// An Exchange is one request and its answer. The handler gets it whole (head and body read, limits
// kept) and answers from any thread, at once or in pieces. Nothing here blocks.
#pragma once

#include "core/base/result.h"
#include "core/config/limits.h"
#include "core/net/http.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace tenon::net {

// Why an exchange ended before its answer was complete.
enum class CloseReason {
    kClientGone,  // FIN, RST or a dead peer
    kWriteStall,  // the client read nothing for write_stall_ms
    kDeadline,    // the clock of set_deadline fired
    kServerStop,  // stop_now
};

// Owned by the connection and by whoever answers. Every member may be called from any thread.
class Exchange {
public:
    virtual ~Exchange() = default;

    virtual const HttpRequest& request() const noexcept = 0;

    // The whole answer. The first of respond() and begin() counts; later ones do nothing.
    virtual void respond(HttpResponse response) = 0;
    // Starts an answer in pieces (chunked; plain close for HTTP/1.0).
    virtual void begin(int status, Headers headers) = 0;
    // Queues bytes after begin(). False once the client is gone: stop producing.
    virtual bool write(std::string_view bytes) = 0;
    // Ends an answer in pieces.
    virtual void finish() = 0;
    // Closes the connection without ending the answer: the client sees it cut.
    virtual void abort() = 0;

    // True once bytes of the answer were handed to the connection.
    virtual bool has_begun() const noexcept = 0;
    // Bytes written and not yet taken by the socket.
    virtual size_t unsent_bytes() const noexcept = 0;

    // At most one of each; set before answering. They run on a thread of the server and must not
    // block. on_pause(true) at stream_high_bytes unsent, (false) back at stream_low_bytes. on_close
    // runs once if the answer cannot be completed, also when that is already so.
    virtual void on_pause(std::function<void(bool paused)> callback) = 0;
    virtual void on_close(std::function<void(CloseReason)> callback) = 0;
    // After `budget`, counted from the end of the request's head, the exchange ends: with
    // `on_expiry`'s answer when nothing was sent, else after its text (an SSE error event) as cut.
    // Replaces an earlier deadline.
    struct Expiry {
        HttpResponse response;    // when the answer has not begun
        std::string stream_text;  // when it has: written, then the answer ends
    };
    virtual void set_deadline(std::chrono::milliseconds budget, Expiry on_expiry) = 0;
    // Sent when the answer has begun and was silent for ping_ms; empty (the default): nothing.
    virtual void set_ping(std::string text) = 0;
};

// What the handler decides from the head alone, before the body is read.
struct HeadDecision {
    std::optional<HttpResponse> refusal;  // sent at once; the connection closes if a body follows
    uint32_t body_bytes = 0;              // largest body of this route; 0: the limit table's
    // Given back in on_request; lets the route that was matched (and authorised) be the one that runs.
    std::shared_ptr<void> context;
    // Runs on_request in a small pool of worker threads instead of the I/O thread.
    bool is_slow = false;
};

// Callbacks of the server. on_head runs on an I/O thread and must be quick.
class Handler {
public:
    virtual ~Handler() = default;
    virtual HeadDecision on_head(const HttpRequest& head) = 0;
    virtual void on_request(std::shared_ptr<Exchange> exchange, std::shared_ptr<void> context) = 0;
    // Body of the error that the server itself answers (400, 408, 413, 414, 415, 431, 503, ...).
    virtual HttpResponse on_error(int status, std::string_view sentence) = 0;
    // One line for the access log; `exchange` has ended.
    struct Access {
        const HttpRequest* request = nullptr;  // null when the head could not be read
        int status = 0;
        uint64_t bytes_sent = 0;
        double ms = 0;
        std::optional<CloseReason> closed;
        std::shared_ptr<void> context;  // HeadDecision's
    };
    virtual void on_access(const Access& access) { (void)access; }
};

struct TlsOptions {
    std::string certificate_file;  // PEM chain; empty: no TLS
    std::string key_file;
};

struct ServerOptions {
    std::string host = "127.0.0.1";  // address or name; "unix:/path" for a unix socket
    uint16_t port = 0;               // 0: any free one
    uint32_t io_threads = 1;
    uint32_t slow_threads = 2;
    TlsOptions tls;
    config::Limits limits;
    std::vector<std::string> trusted_proxies;  // CIDRs that X-Forwarded-For is believed from
    bool proxy_protocol = false;               // v1 or v2 first on every connection from them
    std::vector<std::string> allowed_hosts;    // Host header; empty: any
};

// Counters since start; `connections` is now.
struct ServerStats {
    uint64_t connections = 0, accepted = 0, refused = 0;
    uint64_t requests = 0, active = 0;
    uint64_t timeouts = 0, client_errors = 0;
};

class Server {
public:
    // Listens at once. kConfig: address in use, bad CIDR, unreadable certificate. The handler
    // outlives the server.
    static Result<std::unique_ptr<Server>> start(ServerOptions options, Handler& handler);
    virtual ~Server() = default;  // stop_now

    virtual uint16_t port() const noexcept = 0;
    virtual ServerStats stats() const = 0;
    // Reads certificate and key again for new connections; on error the old ones stay.
    virtual Status reload_tls() = 0;
    // Seconds until the certificate expires; nothing without TLS.
    virtual std::optional<int64_t> tls_expires_in() const = 0;
    // stop_accepting, stop_now and the destructor wait for the server's threads: never call them
    // from a callback.
    // Answers still get finished; new connections are refused, keep-alive ends ("Connection: close").
    virtual void stop_accepting() = 0;
    // Closes idle keep-alive connections now.
    virtual void close_idle() = 0;
    // Closes everything; returns when no callback runs any more.
    virtual void stop_now() = 0;
};

}  // namespace tenon::net
