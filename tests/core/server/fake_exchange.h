// An Exchange without a connection: keeps what was answered, and plays the client.
#pragma once

#include "core/net/http_server.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>

namespace tenon::server::testing {

class FakeExchange : public net::Exchange {
public:
    FakeExchange(std::string method, std::string target, std::string body = "") {
        request_.method = std::move(method);
        request_.target = std::move(target);
        const size_t query = request_.target.find('?');
        request_.path = request_.target.substr(0, query);
        if (query != std::string::npos) request_.query = request_.target.substr(query + 1);
        request_.body = std::move(body);
        request_.client = request_.peer = "127.0.0.1";
    }
    net::HttpRequest& edit() { return request_; }

    const net::HttpRequest& request() const noexcept override { return request_; }
    void respond(net::HttpResponse response) override {
        const std::lock_guard lock(mutex_);
        if (has_begun_) return;
        has_begun_ = is_done_ = true;
        ++outcomes_;
        status_ = response.status;
        headers_ = std::move(response.headers);
        body_ = std::move(response.body);
        changed_.notify_all();
    }
    void begin(int status, net::Headers headers) override {
        const std::lock_guard lock(mutex_);
        if (has_begun_) return;
        has_begun_ = true;
        status_ = status;
        headers_ = std::move(headers);
    }
    bool write(std::string_view bytes) override {
        const std::lock_guard lock(mutex_);
        if (is_closed_ || is_done_) return false;
        body_ += bytes;
        ++writes_;
        return true;
    }
    void finish() override {
        const std::lock_guard lock(mutex_);
        if (is_done_ || is_closed_) return;
        is_done_ = true;
        ++outcomes_;
        changed_.notify_all();
    }
    void abort() override { close(net::CloseReason::kServerStop); }
    bool has_begun() const noexcept override {
        const std::lock_guard lock(mutex_);
        return has_begun_;
    }
    size_t unsent_bytes() const noexcept override { return 0; }
    void on_pause(std::function<void(bool)> callback) override { on_pause_ = std::move(callback); }
    void on_close(std::function<void(net::CloseReason)> callback) override {
        on_close_ = std::move(callback);
        if (is_closed()) on_close_(reason_);
    }
    void set_deadline(std::chrono::milliseconds budget, Expiry on_expiry) override {
        deadline_ = budget;
        expiry_ = std::move(on_expiry);
    }
    void set_ping(std::string text) override { ping_ = std::move(text); }

    // What the client and the clocks do.
    void close(net::CloseReason reason = net::CloseReason::kClientGone) {
        {
            const std::lock_guard lock(mutex_);
            if (is_done_ || std::exchange(is_closed_, true)) return;
            reason_ = reason;
            changed_.notify_all();
        }
        if (on_close_) on_close_(reason);
    }
    void pause(bool paused) {
        if (on_pause_) on_pause_(paused);
    }
    bool wait_done(int ms = 10'000) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::milliseconds(ms),
                                 [&] { return is_done_ || is_closed_; });
    }

    bool is_done() const { return locked(is_done_); }
    bool is_closed() const { return locked(is_closed_); }
    int status() const { return locked(status_); }
    std::string body() const { return locked(body_); }
    net::Headers headers() const { return locked(headers_); }
    int writes() const { return locked(writes_); }
    int outcomes() const { return locked(outcomes_); }
    std::chrono::milliseconds deadline() const { return deadline_; }
    const Expiry& expiry() const { return expiry_; }
    const std::string& ping() const { return ping_; }

private:
    template <class T>
    T locked(const T& member) const {
        const std::lock_guard lock(mutex_);
        return member;
    }

    net::HttpRequest request_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    bool has_begun_ = false, is_done_ = false, is_closed_ = false;
    int status_ = 0, writes_ = 0, outcomes_ = 0;
    net::CloseReason reason_ = net::CloseReason::kClientGone;
    net::Headers headers_;
    std::string body_;
    std::function<void(bool)> on_pause_;
    std::function<void(net::CloseReason)> on_close_;
    std::chrono::milliseconds deadline_{0};
    Expiry expiry_;
    std::string ping_;
};

}  // namespace tenon::server::testing
