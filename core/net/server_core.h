// What all connections of a server share. Internal to the server.
#pragma once

#include "core/net/address.h"
#include "core/net/http_server.h"
#include "core/net/server_gate.h"
#include "core/net/server_workers.h"
#include "core/net/tls.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace tenon::net {

using Clock = std::chrono::steady_clock;

struct ServerCounters {
    std::atomic<uint64_t> connections{0}, accepted{0}, refused{0};
    std::atomic<uint64_t> requests{0}, active{0}, timeouts{0}, client_errors{0};
};

// Outlives every connection. Immutable but for what is thread-safe by itself.
struct ServerCore {
    ServerCore(ServerOptions server_options, Handler& server_handler, Networks proxies)
        : options(std::move(server_options)),
          handler(server_handler),
          trusted(std::move(proxies)),
          gate(options.limits.connections_per_ip),
          workers(options.slow_threads == 0 ? 1 : options.slow_threads,
                  options.limits.queue_requests) {}

    const config::Limits& limits() const noexcept { return options.limits; }
    // The handler's error with a Retry-After: the client may come again.
    HttpResponse busy(int status, std::string_view sentence) {
        HttpResponse response = handler.on_error(status, sentence);
        if (response.headers.find("Retry-After") == nullptr) {
            response.headers.add("Retry-After", "1");
        }
        return response;
    }

    const ServerOptions options;
    Handler& handler;
    const Networks trusted;
    ClientGate gate;
    TlsCertificate certificate;
    ServerCounters counters;
    std::atomic<bool> is_draining{false};
    WorkerPool workers;
};

}  // namespace tenon::net
