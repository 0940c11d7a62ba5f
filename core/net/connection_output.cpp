// Sending, the clocks and the end of a connection.
#include "core/net/connection.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

namespace tenon::net {
namespace {

constexpr size_t kKeptBytes = 4 << 10;  // a larger output buffer is freed between requests
constexpr uint64_t kLingerTotalMs = 30'000;

double ms_since(Clock::time_point start) {
    return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

}  // namespace

void Connection::on_output() {
    if (phase_ == Phase::kAnswer) pump();
    arm_timer();
}

void Connection::pump() {
    while (phase_ != Phase::kClosed) {
        if (out_sent_ == out_.size()) {
            out_.clear();
            out_sent_ = 0;
            out_is_answer_ = exchange_ && exchange_->take(out_);
            if (!out_is_answer_) return after_sent();
        }
        size_t count = 0;
        const std::string_view rest = std::string_view(out_).substr(out_sent_);
        const StreamState state = stream_.write(rest, count);
        if (state == StreamState::kOk) {
            out_sent_ += count;
            clocks_[kWriteStall] = kNever;
            if (exchange_) answer_bytes_ += count;
            if (out_is_answer_) exchange_->count_sent(count);
        } else if (state == StreamState::kAgain || state == StreamState::kAgainWrite) {
            if (clocks_[kWriteStall] == kNever) set(kWriteStall, limits().write_stall_ms);
            if (exchange_) exchange_->update_pause();
            return wait_writable();
        } else {
            return close(CloseReason::kClientGone);
        }
    }
}

void Connection::wait_writable() {
    if (is_writing_ || phase_ == Phase::kClosed) return;
    is_writing_ = true;
    socket_.async_wait(boost::asio::posix::descriptor_base::wait_write,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                           self->is_writing_ = false;
                           if (error || self->phase_ == Phase::kClosed) return;
                           if (self->phase_ == Phase::kHandshake) {
                               self->do_handshake();
                           } else {
                               self->pump();
                               self->wait_readable();
                           }
                           self->arm_timer();
                       });
}

// Everything queued is with the socket.
void Connection::after_sent() {
    if (phase_ == Phase::kRefusal) return end_refusal();
    if (!exchange_) return;
    exchange_->update_pause();
    if (exchange_->is_over()) {
        if (exchange_->needs_reset()) reset();
        return end_exchange(exchange_->reason());
    }
    if (exchange_->is_streaming() && !exchange_->ping_text().empty()) {
        set(kPing, limits().ping_ms);
    }
}

void Connection::end_exchange(std::optional<CloseReason> reason) {
    const std::shared_ptr<ConnectionExchange> exchange = std::exchange(exchange_, nullptr);
    exchange->end(reason);
    if (holds_client_) core_.gate.leave(exchange->request().client);
    holds_client_ = false;
    --core_.counters.active;
    core_.handler.on_access({.request = &exchange->request(),
                             .status = exchange->status(),
                             .bytes_sent = answer_bytes_,
                             .ms = ms_since(exchange->received),
                             .closed = reason,
                             .context = std::move(context_)});
    if (phase_ == Phase::kClosed) return;
    if (!exchange->keeps_alive() || is_input_over_) return begin_linger();
    if (out_.capacity() > kKeptBytes) out_ = {};
    enter(Phase::kIdle);
    set(kPhaseEnd, limits().keep_alive_ms);
    if (is_consuming_) return;
    if (pipeline_.empty()) return wait_readable();
    resume_pipeline();
}

void Connection::end_refusal() {
    core_.handler.on_access({.request = head_is_read_ ? &parser_->request() : nullptr,
                             .status = refusal_status_,
                             .bytes_sent = answer_bytes_,
                             .ms = ms_since(head_received_),
                             .closed = std::nullopt,
                             .context = std::move(context_)});
    if (phase_ != Phase::kClosed) begin_linger();
}

void Connection::begin_linger() {
    if (is_input_over_ || phase_ == Phase::kClosed) return close(std::nullopt);
    stream_.shutdown_write();
    enter(Phase::kLinger);
    set(kPhaseEnd, std::min<uint64_t>(kLingerTotalMs, limits().body_total_ms));
    set(kBodyGap, kLingerGapMs);
    pipeline_ = {};
    out_ = {};
    out_sent_ = 0;
    wait_readable();
}

void Connection::reset() {
    const linger hard{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    is_input_over_ = true;
}

void Connection::close(std::optional<CloseReason> reason) {
    if (phase_ == Phase::kClosed) return;
    const std::shared_ptr<Connection> self = shared_from_this();
    const bool was_refusal = phase_ == Phase::kRefusal;
    enter(Phase::kClosed);
    if (exchange_) {
        end_exchange(reason);
    } else if (was_refusal) {
        end_refusal();
    }
    boost::system::error_code ignored;
    timer_.cancel(ignored);
    socket_.close(ignored);
    loop_->remove(this);
}

// Clocks.

void Connection::arm_timer() {
    if (phase_ == Phase::kClosed) return;
    Clock::time_point next = *std::min_element(clocks_.begin(), clocks_.end());
    if (exchange_) next = std::min(next, exchange_->deadline());
    // A timer that fires too early only looks again, so later clocks cost nothing.
    if (next >= armed_) return;
    armed_ = next;
    timer_.expires_at(next);
    timer_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
        if (error) return;
        self->armed_ = kNever;
        self->on_timer();
        self->arm_timer();
    });
}

void Connection::on_timer() {
    const Clock::time_point now = Clock::now();
    if (clocks_[kPhaseEnd] <= now) return on_phase_end();
    if (clocks_[kWriteStall] <= now) {
        ++core_.counters.timeouts;
        return close(CloseReason::kWriteStall);
    }
    if (phase_ == Phase::kLinger && clocks_[kBodyGap] <= now) return close(std::nullopt);
    if (phase_ == Phase::kBody) return check_body_clocks(now);
    if (phase_ == Phase::kAnswer) return check_answer_clocks(now);
}

void Connection::on_phase_end() {
    switch (phase_) {
        case Phase::kProxyHeader:
        case Phase::kHandshake: ++core_.counters.timeouts; return close(std::nullopt);
        case Phase::kHead:
            return refuse(408, fmt::format("The headers were not complete after {} ms "
                                           "(clock header_ms).",
                                           limits().header_ms));
        default: return close(std::nullopt);
    }
}

void Connection::check_body_clocks(Clock::time_point now) {
    if (clocks_[kBodyTotal] <= now) {
        return refuse(408, fmt::format("The body was not complete after {} ms (clock "
                                       "body_total_ms).",
                                       limits().body_total_ms));
    }
    if (clocks_[kBodyGap] <= now) {
        return refuse(408, fmt::format("No byte of the body came for {} ms (clock body_gap_ms).",
                                       limits().body_gap_ms));
    }
    if (clocks_[kBodyRate] <= now) {
        return refuse(408, fmt::format("The body came slower than {} bytes a second (clock "
                                       "body_rate_bytes).",
                                       limits().body_rate_bytes));
    }
}

void Connection::check_answer_clocks(Clock::time_point now) {
    if (exchange_->deadline() <= now) {
        ++core_.counters.timeouts;
        exchange_->expire();
        return pump();
    }
    if (clocks_[kPing] <= now) {
        clocks_[kPing] = kNever;
        exchange_->write(exchange_->ping_text());
        return pump();
    }
    if (clocks_[kPoll] <= now) check_client_is_there();
}

void Connection::check_client_is_there() {
    clocks_[kPoll] = kNever;
    pollfd ask{.fd = socket_.native_handle(), .events = POLLRDHUP, .revents = 0};
    if (poll(&ask, 1, 0) == 1 && (ask.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
        return close(CloseReason::kClientGone);
    }
    wait_readable();
}

}  // namespace tenon::net
