#include "core/net/http_server.h"

#include "core/net/connection.h"
#include "core/net/server_acceptor.h"
#include "core/net/server_core.h"
#include "core/net/server_loop.h"
#include "core/net/server_socket.h"

#include <fmt/format.h>
#include <algorithm>
#include <exception>
#include <mutex>

namespace tenon::net {
namespace {

class AsioServer final : public Server {
public:
    AsioServer(ServerOptions options, Handler& handler, Networks trusted)
        : core_(std::move(options), handler, std::move(trusted)) {
        const uint32_t count = std::max(1U, core_.options.io_threads);
        for (uint32_t i = 0; i < count; ++i)
            loops_.push_back(std::make_shared<Loop>());
    }
    ~AsioServer() override { stop_now(); }

    Status open() {
        if (has_tls()) TENON_CHECK(reload_tls());
        TENON_TRY(Listener listener, listen_on(core_.options.host, core_.options.port));
        port_ = listener.port;
        acceptor_ = std::make_unique<Acceptor>(core_, loops_, std::move(listener));
        loops_.front()->run_and_wait([this] { acceptor_->start(); });
        return {};
    }

    uint16_t port() const noexcept override { return port_; }

    ServerStats stats() const override {
        const ServerCounters& now = core_.counters;
        return {.connections = now.connections,
                .accepted = now.accepted,
                .refused = now.refused,
                .requests = now.requests,
                .active = now.active,
                .timeouts = now.timeouts,
                .client_errors = now.client_errors};
    }

    Status reload_tls() override {
        if (!has_tls()) return Error{Code::kConfig, "this server has no TLS certificate"};
        const TlsOptions& tls = core_.options.tls;
        return core_.certificate.load(tls.certificate_file, tls.key_file);
    }

    std::optional<int64_t> tls_expires_in() const override {
        return core_.certificate.expires_in();
    }

    void stop_accepting() override {
        core_.is_draining = true;
        loops_.front()->run_and_wait([this] {
            if (acceptor_) acceptor_->stop();
        });
    }

    void close_idle() override {
        for (const std::shared_ptr<Loop>& loop : loops_) {
            loop->post([raw = loop.get()] {
                for (const auto& connection : raw->connections()) {
                    if (connection->is_idle()) connection->close(std::nullopt);
                }
            });
        }
    }

    void stop_now() override {
        const std::lock_guard lock(stop_mutex_);
        stop_accepting();
        const auto close_all = [this] {
            for (const std::shared_ptr<Loop>& loop : loops_) {
                loop->run_and_wait([&] {
                    for (const auto& connection : loop->connections()) {
                        connection->close(CloseReason::kServerStop);
                    }
                });
            }
        };
        close_all();
        // Connections that were on their way to another loop have arrived by now.
        close_all();
        core_.workers.stop();
        for (const std::shared_ptr<Loop>& loop : loops_)
            loop->stop();
    }

private:
    bool has_tls() const { return !core_.options.tls.certificate_file.empty(); }

    ServerCore core_;
    std::vector<std::shared_ptr<Loop>> loops_;
    std::unique_ptr<Acceptor> acceptor_;
    std::mutex stop_mutex_;
    uint16_t port_ = 0;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::start(ServerOptions options, Handler& handler) {
    TENON_TRY(Networks trusted, Networks::parse(options.trusted_proxies));
    if (options.tls.certificate_file.empty() != options.tls.key_file.empty()) {
        return Error{Code::kConfig, "TLS needs both a certificate file and a key file"};
    }
    if (options.limits.stream_low_bytes > options.limits.stream_high_bytes) {
        return Error{
            Code::kConfig,
            fmt::format("stream_low_bytes ({}) must not be above stream_high_bytes ({})",
                        options.limits.stream_low_bytes, options.limits.stream_high_bytes)};
    }
    try {
        auto server = std::make_unique<AsioServer>(std::move(options), handler, std::move(trusted));
        TENON_CHECK(server->open());
        return std::unique_ptr<Server>(std::move(server));
    } catch (const std::exception& failed) {  // threads, epoll
        return Error{Code::kOomHost, fmt::format("the server cannot start: {}", failed.what())};
    }
}

}  // namespace tenon::net
