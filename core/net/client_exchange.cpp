#include "core/net/client_exchange.h"

#include "core/net/client_fields.h"
#include "core/net/client_lane.h"

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace tenon::net {

namespace asio = boost::asio;

namespace {

// RFC 9110, 9.2.2.
bool is_idempotent(std::string_view method) {
    for (const char* name : {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"}) {
        if (method == name) return true;
    }
    return false;
}

}  // namespace

ClientExchange::ClientExchange(std::weak_ptr<ClientLane> lane, ClientRequest request,
                               ClientCallbacks callbacks)
    : lane_(std::move(lane)), request_(std::move(request)), callbacks_(std::move(callbacks)) {}

void ClientExchange::cancel() {
    const std::shared_ptr<ClientLane> lane = lane_.lock();
    if (lane == nullptr) return;
    asio::post(lane->io(), [self = shared_from_this()] {
        self->end(Error{Code::kCancelled, "the request was cancelled"});
    });
}

void ClientExchange::pause(bool paused) {
    is_paused_.store(paused);
    const std::shared_ptr<ClientLane> lane = lane_.lock();
    if (paused || lane == nullptr) return;
    asio::post(lane->io(), [self = shared_from_this()] { self->resume(); });
}

void ClientExchange::begin() {
    if (has_ended_) return;
    const std::shared_ptr<ClientLane> lane = lane_.lock();
    if (Status status = compose(lane->options().proxies); !status.ok()) {
        end(std::move(status));
        return;
    }
    timer_.emplace(lane->io());
    set_clock(total_at_, request_.timeout);
    set_clock(head_at_, request_.first_byte);
    lane->acquire(shared_from_this(), url_, false);
}

Status ClientExchange::compose(const ProxyRules& proxies) {
    TENON_TRY(url_, parse_url(request_.url));
    proxy_ = proxies.find(url_);
    if (!client_fields::is_token(request_.method)) {
        return Error{Code::kInvalid, fmt::format("'{}' is not a method", request_.method)};
    }
    // What is not encrypted is a proxy's own to send on: RFC 9112, 3.2.2.
    const bool is_relayed = proxy_ != nullptr && !url_.tls;
    head_ =
        fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\n", request_.method,
                    is_relayed ? "http://" + url_.authority() : "", url_.target, url_.authority());
    if (is_relayed && !proxy_->authorization.empty()) {
        head_ += fmt::format("Proxy-Authorization: {}\r\n", proxy_->authorization);
    }
    bool has_agent = false;
    for (const Header& header : request_.headers.all()) {
        if (!client_fields::is_token(header.name) || !client_fields::is_text(header.value)) {
            return Error{Code::kInvalid,
                         fmt::format("header '{}' cannot be sent: it has a control character",
                                     header.name.substr(0, 100))};
        }
        if (client_fields::same(header.name, "Host") ||
            client_fields::same(header.name, "Content-Length") ||
            client_fields::same(header.name, "Transfer-Encoding")) {
            continue;
        }
        has_agent = has_agent || client_fields::same(header.name, "User-Agent");
        head_ += header.name + ": " + header.value + "\r\n";
    }
    if (!has_agent) head_ += "User-Agent: tenon\r\n";
    const bool has_body = !request_.body.empty() || request_.method == "POST" ||
                          request_.method == "PUT" || request_.method == "PATCH";
    if (has_body) head_ += fmt::format("Content-Length: {}\r\n", request_.body.size());
    head_ += "\r\n";
    return {};
}

void ClientExchange::use_connection(std::shared_ptr<ClientConnection> connection, bool is_reused) {
    connection_ = std::move(connection);
    is_reused_ = is_reused;
    if (is_reused) {
        send();
        return;
    }
    set_clock(connect_at_, lane_.lock()->options().connect_timeout);
    connection_->connect([self = shared_from_this()](Status status) {
        self->connect_at_.reset();
        if (status.ok()) {
            self->send();
        } else {
            self->end(std::move(status));
        }
    });
}

void ClientExchange::send() {
    ResponseParser::Limits limits;
    limits.head_bytes = lane_.lock()->options().response_header_bytes;
    parser_.emplace(request_.method == "HEAD", limits);
    is_writing_ = true;
    // A write that fails is left to the read, which may find an answer that was sent before.
    connection_->write(head_, request_.body,
                       [self = shared_from_this()](ErrorCode) { self->is_writing_ = false; });
    receive();
}

void ClientExchange::receive() {
    is_reading_ = true;
    connection_->receive([self = shared_from_this()](ErrorCode error, std::string_view bytes) {
        self->is_reading_ = false;
        if (self->has_ended_) return;
        if (!bytes.empty()) {
            self->take(bytes);
        } else {
            self->on_closed(error);
        }
    });
}

void ClientExchange::resume() {
    if (has_ended_ || is_paused_.load() || !parser_.has_value() || connection_ == nullptr) return;
    if (has_head_) set_clock(piece_at_, request_.between);
    if (is_reading_) return;
    const std::string held = std::move(held_);
    held_.clear();
    take(held);
}

void ClientExchange::take(std::string_view bytes) {
    while (true) {
        if (is_paused_.load()) {
            held_ = bytes;
            piece_at_.reset();
            return;
        }
        const Result<ResponseParser::Piece> piece = parser_->next(bytes);
        if (!piece.ok()) {
            end(piece.error());
            return;
        }
        switch (*piece) {
            case ResponseParser::Piece::kMore: receive(); return;
            case ResponseParser::Piece::kHead:
                if (proxy_ != nullptr && !url_.tls && parser_->status() == 407) {
                    end(proxy_->refusal(407, parser_->headers(), url_.host));
                    return;
                }
                has_head_ = true;
                head_at_.reset();
                set_clock(piece_at_, request_.between);
                if (callbacks_.on_head) callbacks_.on_head(parser_->status(), parser_->headers());
                break;
            case ResponseParser::Piece::kBody:
                set_clock(piece_at_, request_.between);
                if (callbacks_.on_body) callbacks_.on_body(parser_->body());
                break;
            case ResponseParser::Piece::kEnd: complete(!bytes.empty()); return;
        }
    }
}

void ClientExchange::on_closed(ErrorCode error) {
    if (!parser_->has_begun()) {
        if (may_retry()) {
            is_retry_ = true;
            give_connection_back(false);
            lane_.lock()->acquire(shared_from_this(), url_, true);
            return;
        }
        end(Error{Code::kBusy, fmt::format("{}{}:{} closed the connection before it answered ({})",
                                           proxy_ == nullptr || url_.tls
                                               ? ""
                                               : fmt::format("the proxy {} of ", proxy_->name()),
                                           url_.host, url_.port, error.message())});
        return;
    }
    Status status = parser_->finish();
    if (status.ok() && error != asio::error::eof) {
        status = Error{Code::kData, fmt::format("the response was cut: {}", error.message())};
    }
    if (status.ok()) {
        complete(false);
    } else {
        end(std::move(status));
    }
}

bool ClientExchange::may_retry() const {
    return is_reused_ && !is_retry_ &&
           (request_.is_repeatable || is_idempotent(request_.method) || is_writing_ ||
            connection_->has_undelivered());
}

void ClientExchange::complete(bool has_leftover) {
    give_connection_back(parser_->keeps_alive() && !has_leftover && !is_writing_);
    end({});
}

void ClientExchange::give_connection_back(bool reusable) {
    if (connection_ == nullptr) return;
    const std::shared_ptr<ClientConnection> connection = std::move(connection_);
    connection_.reset();
    if (const auto lane = lane_.lock()) lane->release(connection, reusable);
}

void ClientExchange::end(Status status) {
    if (has_ended_) return;
    has_ended_ = true;
    const std::shared_ptr<ClientExchange> self = shared_from_this();
    timer_.reset();
    give_connection_back(false);
    const ClientCallbacks callbacks = std::move(callbacks_);
    callbacks_ = {};
    if (const auto lane = lane_.lock()) lane->remove(self, url_);
    if (callbacks.on_end) callbacks.on_end(std::move(status));
}

void ClientExchange::set_clock(Deadline& deadline, std::chrono::milliseconds budget) {
    if (budget.count() <= 0) return;
    deadline = Clock::now() + budget;
    if (!armed_at_.has_value() || *deadline < *armed_at_) arm();
}

void ClientExchange::arm() {
    armed_at_.reset();
    for (const Deadline* deadline : {&connect_at_, &head_at_, &piece_at_, &total_at_}) {
        if (deadline->has_value() && (!armed_at_.has_value() || **deadline < *armed_at_)) {
            armed_at_ = *deadline;
        }
    }
    if (!armed_at_.has_value()) return;
    timer_->expires_at(*armed_at_);
    timer_->async_wait([self = shared_from_this()](ErrorCode error) {
        if (!error && !self->has_ended_) self->on_timer();
    });
}

void ClientExchange::on_timer() {
    const Clock::time_point now = Clock::now();
    if (is_paused_.load()) piece_at_.reset();
    const auto fired = [&](const Deadline& deadline) {
        return deadline.has_value() && *deadline <= now;
    };
    const auto expire = [&](std::string what, std::chrono::milliseconds budget) {
        end(Error{Code::kTimeout, fmt::format("{} within {} ms", what, budget.count())});
    };
    if (fired(connect_at_)) {
        expire(fmt::format("connect timeout: no connection to {}:{}{}", url_.host, url_.port,
                           proxy_ == nullptr ? "" : " through the proxy " + proxy_->name()),
               lane_.lock()->options().connect_timeout);
    } else if (fired(head_at_)) {
        expire("first-byte timeout: no answer", request_.first_byte);
    } else if (fired(piece_at_)) {
        expire("between timeout: no further piece of the answer", request_.between);
    } else if (fired(total_at_)) {
        expire("total timeout: the answer was not complete", request_.timeout);
    } else {
        arm();
    }
}

}  // namespace tenon::net
