#include "core/net/connection_exchange.h"

#include "core/net/connection.h"
#include "core/net/server_loop.h"
#include "core/net/server_response.h"

#include <utility>

namespace tenon::net {

ConnectionExchange::ConnectionExchange(ServerCore& core, std::weak_ptr<Loop> loop,
                                       std::weak_ptr<Connection> connection, HttpRequest request,
                                       Facts facts)
    : received(facts.received),
      core_(core),
      loop_(std::move(loop)),
      connection_(std::move(connection)),
      request_(std::move(request)),
      is_http_1_0_(facts.is_http_1_0),
      is_head_(request_.method == "HEAD"),
      keep_alive_(facts.keep_alive) {}

std::shared_ptr<Exchange> ConnectionExchange::hand_out(
    std::shared_ptr<ConnectionExchange> exchange) {
    exchange->self_ = exchange;
    ConnectionExchange* const raw = exchange.get();
    return std::shared_ptr<Exchange>(raw,
                                     [kept = std::move(exchange)](Exchange*) { kept->abandon(); });
}

void ConnectionExchange::wake_locked() {
    if (is_woken_ || holds_wakeups_ || is_ended_) return;
    is_woken_ = true;
    if (const std::shared_ptr<Loop> loop = loop_.lock()) {
        loop->post([connection = connection_] {
            if (const auto alive = connection.lock()) alive->on_output();
        });
    }
}

void ConnectionExchange::respond(HttpResponse response) {
    const std::lock_guard lock(mutex_);
    respond_locked(std::move(response), false);
}

void ConnectionExchange::respond_and(bool close_after, HttpResponse response) {
    const std::lock_guard lock(mutex_);
    respond_locked(std::move(response), close_after);
}

void ConnectionExchange::respond_locked(HttpResponse response, bool close_after) {
    if (phase_ != Phase::kWaiting || is_ended_) return;
    keep_alive_ = keep_alive_ && !close_after && !core_.is_draining.load();
    ResponseFraming framing{.content_length = response.body.size(),
                            .is_chunked = false,
                            .keep_alive = keep_alive_,
                            .is_http_1_0 = is_http_1_0_};
    if (!has_body(response.status)) {
        framing.content_length.reset();
        response.body.clear();
    }
    const size_t before = pending_.size();
    append_head(pending_, response.status, response.headers, framing);
    if (!is_head_) pending_.append(response.body);
    unsent_ += pending_.size() - before;
    status_ = response.status;
    phase_ = Phase::kComplete;
    wake_locked();
}

void ConnectionExchange::begin(int status, Headers headers) {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::kWaiting || is_ended_) return;
    is_chunked_ = !is_http_1_0_ && has_body(status);
    drops_body_ = is_head_ || !has_body(status);
    // Without chunks only the end of the connection ends the body.
    keep_alive_ = keep_alive_ && (is_chunked_ || drops_body_) && !core_.is_draining.load();
    const size_t before = pending_.size();
    append_head(pending_, status, headers,
                {.content_length = std::nullopt,
                 .is_chunked = is_chunked_,
                 .keep_alive = keep_alive_,
                 .is_http_1_0 = is_http_1_0_});
    unsent_ += pending_.size() - before;
    status_ = status;
    phase_ = Phase::kPieces;
    wake_locked();
}

void ConnectionExchange::write_locked(std::string_view bytes) {
    if (drops_body_ || bytes.empty()) return;
    const size_t before = pending_.size();
    if (is_chunked_) {
        append_chunk(pending_, bytes);
    } else {
        pending_.append(bytes);
    }
    unsent_ += pending_.size() - before;
    wake_locked();
}

bool ConnectionExchange::write(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::kPieces || is_ended_) return false;
    write_locked(bytes);
    return true;
}

void ConnectionExchange::finish_locked() {
    if (is_chunked_ && !drops_body_) {
        pending_.append(kLastChunk);
        unsent_ += kLastChunk.size();
    }
    phase_ = Phase::kComplete;
    wake_locked();
}

void ConnectionExchange::finish() {
    const std::lock_guard lock(mutex_);
    if (phase_ == Phase::kPieces && !is_ended_) finish_locked();
}

void ConnectionExchange::abort() {
    const std::lock_guard lock(mutex_);
    if (is_ended_ || phase_ == Phase::kComplete || phase_ == Phase::kAborted) return;
    phase_ = Phase::kAborted;
    wake_locked();
}

void ConnectionExchange::abandon() {
    {
        const std::lock_guard lock(mutex_);
        if (is_ended_ || phase_ == Phase::kComplete || phase_ == Phase::kAborted) return;
        if (phase_ == Phase::kPieces) {
            phase_ = Phase::kAborted;
            wake_locked();
            return;
        }
    }
    respond(core_.handler.on_error(500, "The request was given up without an answer."));
}

void ConnectionExchange::on_pause(std::function<void(bool paused)> callback) {
    const std::lock_guard lock(mutex_);
    if (!is_ended_) pause_callback_ = std::move(callback);
}

void ConnectionExchange::on_close(std::function<void(CloseReason)> callback) {
    const std::lock_guard lock(mutex_);
    if (!is_ended_ && !reason_) {
        close_callback_ = std::move(callback);
        return;
    }
    if (!reason_) return;
    if (const std::shared_ptr<Loop> loop = loop_.lock()) {
        loop->post([callback = std::move(callback), reason = *reason_] { callback(reason); });
    }
}

void ConnectionExchange::on_loop(std::function<void(ConnectionExchange&)> job) {
    const std::shared_ptr<Loop> loop = loop_.lock();
    if (!loop) return;
    loop->post([self = self_, connection = connection_, job = std::move(job)] {
        const auto alive = connection.lock();
        const auto exchange = self.lock();
        if (!alive || !exchange) return;
        job(*exchange);
        alive->on_clocks_changed();
    });
}

void ConnectionExchange::set_deadline(std::chrono::milliseconds budget, Expiry on_expiry) {
    on_loop([budget, expiry = std::make_shared<Expiry>(std::move(on_expiry))](
                ConnectionExchange& exchange) {
        exchange.deadline_ = exchange.received + budget;
        exchange.expiry_ = std::move(*expiry);
    });
}

void ConnectionExchange::set_ping(std::string text) {
    on_loop([text = std::move(text)](ConnectionExchange& exchange) { exchange.ping_ = text; });
}

void ConnectionExchange::hold_wakeups(bool held) {
    const std::lock_guard lock(mutex_);
    holds_wakeups_ = held;
}

bool ConnectionExchange::take(std::string& out) {
    const std::lock_guard lock(mutex_);
    is_woken_ = false;
    if (pending_.empty()) return false;
    out.swap(pending_);
    return true;
}

void ConnectionExchange::update_pause() {
    const size_t unsent = unsent_.load();
    const bool crossed = is_paused_ ? unsent <= core_.limits().stream_low_bytes
                                    : unsent >= core_.limits().stream_high_bytes;
    std::function<void(bool)> callback;
    {
        const std::lock_guard lock(mutex_);
        if (is_ended_) return;
        if (crossed) {
            is_paused_ = !is_paused_;
            callback = pause_callback_;
        }
        // While the socket takes nothing the next write must come back here; once paused it need
        // not, because the socket will say when it takes more.
        if (!is_paused_) is_woken_ = false;
    }
    if (callback) callback(is_paused_);
}

bool ConnectionExchange::is_complete() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::kComplete;
}

bool ConnectionExchange::is_over() const {
    const std::lock_guard lock(mutex_);
    return pending_.empty() && (phase_ == Phase::kComplete || phase_ == Phase::kAborted);
}

bool ConnectionExchange::is_aborted() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::kAborted;
}

bool ConnectionExchange::is_streaming() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::kPieces;
}

bool ConnectionExchange::keeps_alive() const {
    const std::lock_guard lock(mutex_);
    return keep_alive_ && phase_ == Phase::kComplete;
}

bool ConnectionExchange::needs_reset() const {
    const std::lock_guard lock(mutex_);
    return phase_ == Phase::kAborted && !reason_ && !is_chunked_;
}

std::optional<CloseReason> ConnectionExchange::reason() const {
    const std::lock_guard lock(mutex_);
    return reason_;
}

void ConnectionExchange::expire() {
    deadline_ = Clock::time_point::max();
    std::function<void(CloseReason)> callback;
    {
        const std::lock_guard lock(mutex_);
        if (is_ended_ || phase_ == Phase::kComplete || phase_ == Phase::kAborted) return;
        reason_ = CloseReason::kDeadline;
        if (phase_ == Phase::kWaiting) {
            respond_locked(std::move(expiry_.response), false);
        } else {
            write_locked(expiry_.stream_text);
            phase_ = Phase::kAborted;
        }
        callback.swap(close_callback_);
    }
    if (callback) callback(CloseReason::kDeadline);
}

void ConnectionExchange::end(std::optional<CloseReason> reason) {
    std::function<void(CloseReason)> callback;
    std::function<void(bool)> pause_callback;
    {
        const std::lock_guard lock(mutex_);
        if (is_ended_) return;
        is_ended_ = true;
        if (reason && !reason_) reason_ = reason;
        callback.swap(close_callback_);
        pause_callback.swap(pause_callback_);
        pending_ = {};
        unsent_ = 0;
    }
    if (callback && reason) callback(*reason);
}

}  // namespace tenon::net
