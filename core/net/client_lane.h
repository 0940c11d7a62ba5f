// One I/O thread of the client with its own pool: everything in it runs on that thread.
#pragma once

#include "core/net/client_connection.h"
#include "core/net/http_client.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>

namespace tenon::net {

class ClientExchange;

class ClientLane : public std::enable_shared_from_this<ClientLane> {
public:
    using Clock = std::chrono::steady_clock;

    // `connections`: of this lane, per origin. `tls` may be null until the first https request.
    ClientLane(const ClientOptions& options, uint32_t connections, std::shared_ptr<ClientTls> tls);
    ~ClientLane();

    void start_thread();
    // Cancels every request; returns when no callback runs any more. Not from a callback.
    void stop();

    // From any thread.
    void add(std::shared_ptr<ClientExchange> exchange);

    // The rest: on the lane's thread.
    boost::asio::io_context& io() noexcept { return io_; }
    const ClientOptions& options() const noexcept { return options_; }
    // Gives `exchange` a connection by use_connection(), now or when one is free.
    void acquire(const std::shared_ptr<ClientExchange>& exchange, const Url& url, bool fresh);
    // Back from an exchange; `reusable`: it may carry another request.
    void release(const std::shared_ptr<ClientConnection>& connection, bool reusable);
    // The exchange ended: it waits for nothing and is not held any more.
    void remove(const std::shared_ptr<ClientExchange>& exchange, const Url& url);

private:
    struct Idle {
        std::shared_ptr<ClientConnection> connection;
        Clock::time_point since;
    };
    struct Waiting {
        std::shared_ptr<ClientExchange> exchange;
        Url url;
    };
    struct Origin {
        std::deque<Idle> idle;  // the latest at the back
        std::deque<Waiting> waiting;
        uint32_t open = 0;  // idle ones too
    };

    void open(const std::shared_ptr<ClientExchange>& exchange, const Url& url, Origin& origin);
    void keep(const std::shared_ptr<ClientConnection>& connection, Origin& origin);
    void drop(const std::shared_ptr<ClientConnection>& connection);
    void sweep();

    const ClientOptions options_;
    const uint32_t connections_;
    std::shared_ptr<ClientTls> tls_;
    boost::asio::io_context io_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
    boost::asio::steady_timer sweeper_;
    bool is_sweeping_ = false, is_stopping_ = false;
    std::map<std::string, Origin> origins_;
    std::set<std::shared_ptr<ClientExchange>> exchanges_;
    std::thread thread_;
};

}  // namespace tenon::net
