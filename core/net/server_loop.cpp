#include "core/net/server_loop.h"

#include "core/net/connection.h"

#include <future>

namespace tenon::net {

Loop::Loop() : work_(boost::asio::make_work_guard(context_)), buffer_(new char[kReadBytes]) {
    thread_ = std::thread([this] { context_.run(); });
}

void Loop::run_and_wait(const std::function<void()>& job) {
    std::promise<void> done;
    const bool is_posted = post([&] {
        job();
        done.set_value();
    });
    if (is_posted) done.get_future().wait();
}

void Loop::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopped_ = true;
    }
    work_.reset();
    if (thread_.joinable()) thread_.join();
}

void Loop::add(std::shared_ptr<Connection> connection) {
    const Connection* key = connection.get();
    connections_.emplace(key, std::move(connection));
}

void Loop::remove(const Connection* connection) { connections_.erase(connection); }

std::vector<std::shared_ptr<Connection>> Loop::connections() const {
    std::vector<std::shared_ptr<Connection>> all;
    all.reserve(connections_.size());
    for (const auto& [key, connection] : connections_)
        all.push_back(connection);
    return all;
}

}  // namespace tenon::net
