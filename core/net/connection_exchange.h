// The answer's side of a connection: any thread writes into it, the connection's loop takes bytes
// out of it. Internal to the server.
#pragma once

#include "core/net/http_server.h"
#include "core/net/server_core.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

namespace tenon::net {

class Connection;
class Loop;

class ConnectionExchange final : public Exchange {
public:
    struct Facts {
        Clock::time_point received;  // the end of the head
        bool keep_alive = false, is_http_1_0 = false;
    };
    ConnectionExchange(ServerCore& core, std::weak_ptr<Loop> loop,
                       std::weak_ptr<Connection> connection, HttpRequest request, Facts facts);

    // What a handler holds. When the last one goes without an answer, the client gets a 500.
    static std::shared_ptr<Exchange> hand_out(std::shared_ptr<ConnectionExchange> exchange);

    const HttpRequest& request() const noexcept override { return request_; }
    void respond(HttpResponse response) override;
    void begin(int status, Headers headers) override;
    bool write(std::string_view bytes) override;
    void finish() override;
    void abort() override;
    bool has_begun() const noexcept override { return status_.load() != 0; }
    size_t unsent_bytes() const noexcept override { return unsent_.load(); }
    void on_pause(std::function<void(bool paused)> callback) override;
    void on_close(std::function<void(CloseReason)> callback) override;
    void set_deadline(std::chrono::milliseconds budget, Expiry on_expiry) override;
    void set_ping(std::string text) override;

    // For the connection, on its loop.

    // Answers in place of the handler; the connection closes afterwards if told so.
    void respond_and(bool close_after, HttpResponse response);
    // While held, writing does not wake the loop: the caller takes the bytes itself.
    void hold_wakeups(bool held);
    // Moves what is to be sent into `out`, which is empty. False if there is nothing.
    bool take(std::string& out);
    void count_sent(size_t bytes) noexcept { unsent_ -= bytes; }
    // Tells the handler about pause and resume where the unsent bytes crossed a mark.
    void update_pause();
    bool is_complete() const;  // every byte of the answer was queued
    // Nothing more comes and nothing waits for take(): what another thread queued since the last
    // take() has woken the loop and is not lost.
    bool is_over() const;
    bool is_aborted() const;    // nothing more comes; the connection is to be cut
    bool is_streaming() const;  // begun, in pieces, not complete
    // An abort() that the client could take for the end: only a reset tells it.
    bool needs_reset() const;
    std::optional<CloseReason> reason() const;
    bool keeps_alive() const;
    int status() const noexcept { return status_.load(); }
    const std::string& ping_text() const noexcept { return ping_; }  // loop's copy
    Clock::time_point deadline() const noexcept { return deadline_; }
    // The deadline fired.
    void expire();
    // Nothing can be written any more. Calls on_close where a reason is given.
    void end(std::optional<CloseReason> reason);

    const Clock::time_point received;

private:
    enum class Phase { kWaiting, kPieces, kComplete, kAborted };

    void respond_locked(HttpResponse response, bool close_after);
    void write_locked(std::string_view bytes);
    void finish_locked();
    // Lets the loop know, once until it took the bytes.
    void wake_locked();
    void abandon();
    void on_loop(std::function<void(ConnectionExchange&)> job);

    ServerCore& core_;
    const std::weak_ptr<Loop> loop_;
    const std::weak_ptr<Connection> connection_;
    std::weak_ptr<ConnectionExchange> self_;
    const HttpRequest request_;
    const bool is_http_1_0_;
    const bool is_head_;

    std::atomic<int> status_{0};
    std::atomic<size_t> unsent_{0};

    mutable std::mutex mutex_;
    Phase phase_ = Phase::kWaiting;
    bool is_chunked_ = false, drops_body_ = false, keep_alive_ = false;
    bool is_ended_ = false, is_woken_ = false, holds_wakeups_ = false;
    std::optional<CloseReason> reason_;
    std::string pending_;
    std::function<void(bool)> pause_callback_;
    std::function<void(CloseReason)> close_callback_;

    // Loop thread only.
    bool is_paused_ = false;
    Clock::time_point deadline_ = Clock::time_point::max();
    Expiry expiry_;
    std::string ping_;
};

}  // namespace tenon::net
