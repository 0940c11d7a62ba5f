#include "core/net/client_lane.h"

#include "core/net/client_exchange.h"

#include <boost/asio/post.hpp>

#include <algorithm>
#include <vector>

namespace tenon::net {

namespace asio = boost::asio;

ClientLane::ClientLane(const ClientOptions& options, uint32_t connections,
                       std::shared_ptr<ClientTls> tls)
    : options_(options),
      connections_(connections),
      tls_(std::move(tls)),
      io_(1),
      work_(asio::make_work_guard(io_)),
      sweeper_(io_) {}

ClientLane::~ClientLane() = default;

void ClientLane::start_thread() {
    thread_ = std::thread([this] { io_.run(); });
}

void ClientLane::stop() {
    asio::post(io_, [this] {
        is_stopping_ = true;
        const std::set<std::shared_ptr<ClientExchange>> running = exchanges_;
        for (const auto& exchange : running)
            exchange->end(Error{Code::kCancelled, "the client was closed"});
        for (auto& [name, origin] : origins_) {
            for (Idle& idle : origin.idle)
                idle.connection->close();
            origin.idle.clear();
        }
        sweeper_.cancel();
        work_.reset();
    });
    if (thread_.joinable()) thread_.join();
}

void ClientLane::add(std::shared_ptr<ClientExchange> exchange) {
    asio::post(io_, [this, exchange = std::move(exchange)] {
        exchanges_.insert(exchange);
        if (is_stopping_) {
            exchange->end(Error{Code::kCancelled, "the client was closed"});
        } else {
            exchange->begin();
        }
    });
}

void ClientLane::acquire(const std::shared_ptr<ClientExchange>& exchange, const Url& url,
                         bool fresh) {
    Origin& origin = origins_[url.origin()];
    if (!origin.idle.empty() && fresh && origin.open >= connections_) {
        origin.idle.front().connection->close();
        origin.idle.pop_front();
        --origin.open;
    }
    if (!origin.idle.empty() && !fresh) {
        const std::shared_ptr<ClientConnection> connection =
            std::move(origin.idle.back().connection);
        origin.idle.pop_back();
        exchange->use_connection(connection, true);
    } else if (origin.open < connections_) {
        open(exchange, url, origin);
    } else {
        origin.waiting.push_back({exchange, url});
    }
}

void ClientLane::open(const std::shared_ptr<ClientExchange>& exchange, const Url& url,
                      Origin& origin) {
    if (url.tls && tls_ == nullptr) {
        Result<std::shared_ptr<ClientTls>> tls =
            ClientTls::create(options_.verify_tls, options_.ca_file);
        if (!tls.ok()) {
            exchange->end(tls.error());
            return;
        }
        tls_ = *tls;
    }
    ++origin.open;
    exchange->use_connection(
        ClientConnection::create(io_, url.tls ? tls_ : nullptr, url, options_.proxies.find(url)),
        false);
}

void ClientLane::release(const std::shared_ptr<ClientConnection>& connection, bool reusable) {
    Origin& origin = origins_[connection->origin()];
    if (!reusable || is_stopping_) {
        drop(connection);
    } else if (!origin.waiting.empty()) {
        const std::shared_ptr<ClientExchange> next = std::move(origin.waiting.front().exchange);
        origin.waiting.pop_front();
        next->use_connection(connection, true);
    } else {
        keep(connection, origin);
    }
}

void ClientLane::keep(const std::shared_ptr<ClientConnection>& connection, Origin& origin) {
    origin.idle.push_back({connection, Clock::now()});
    // Whatever comes now, bytes or the end, makes it useless.
    connection->receive(
        [this, weak = std::weak_ptr<ClientConnection>(connection)](ErrorCode, std::string_view) {
            const std::shared_ptr<ClientConnection> dead = weak.lock();
            if (dead == nullptr) return;
            std::deque<Idle>& idle = origins_[dead->origin()].idle;
            idle.erase(std::remove_if(idle.begin(), idle.end(),
                                      [&](const Idle& one) { return one.connection == dead; }),
                       idle.end());
            drop(dead);
        });
    if (!is_sweeping_) sweep();
}

void ClientLane::drop(const std::shared_ptr<ClientConnection>& connection) {
    connection->close();
    const auto found = origins_.find(connection->origin());
    if (found == origins_.end()) return;
    Origin& origin = found->second;
    --origin.open;
    if (origin.waiting.empty()) {
        if (origin.open == 0) origins_.erase(found);
        return;
    }
    const Waiting next = std::move(origin.waiting.front());
    origin.waiting.pop_front();
    open(next.exchange, next.url, origin);
}

void ClientLane::remove(const std::shared_ptr<ClientExchange>& exchange, const Url& url) {
    const std::shared_ptr<ClientExchange> kept = exchange;
    exchanges_.erase(kept);
    const auto found = origins_.find(url.origin());
    if (found == origins_.end()) return;
    std::deque<Waiting>& waiting = found->second.waiting;
    waiting.erase(std::remove_if(waiting.begin(), waiting.end(),
                                 [&](const Waiting& one) { return one.exchange == kept; }),
                  waiting.end());
}

void ClientLane::sweep() {
    const Clock::time_point old = Clock::now() - options_.idle_timeout;
    std::vector<std::shared_ptr<ClientConnection>> stale;
    bool has_idle = false;
    for (auto& [name, origin] : origins_) {
        while (!origin.idle.empty() && origin.idle.front().since <= old) {
            stale.push_back(std::move(origin.idle.front().connection));
            origin.idle.pop_front();
        }
        has_idle = has_idle || !origin.idle.empty();
    }
    for (const auto& connection : stale)
        drop(connection);
    is_sweeping_ = has_idle && !is_stopping_;
    if (!is_sweeping_) return;
    sweeper_.expires_after(std::max(options_.idle_timeout / 2, std::chrono::milliseconds(10)));
    sweeper_.async_wait([this](ErrorCode error) {
        if (!error) sweep();
    });
}

}  // namespace tenon::net
