#include "core/net/connection.h"

#include "core/net/proxy_protocol.h"
#include "core/net/server_response.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <exception>
#include <utility>

namespace tenon::net {
namespace {

constexpr size_t kPipelineBytes = 16 << 10;

std::string_view host_of(std::string_view host) {
    const size_t colon = host.rfind(':');
    const bool has_port =
        colon != std::string_view::npos && host.find(']', colon) == std::string_view::npos;
    return has_port ? host.substr(0, colon) : host;
}

bool same_text(std::string_view a, std::string_view b) {
    return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Connection::Connection(ServerCore& core, std::shared_ptr<Loop> loop, int fd, Address peer,
                       bool holds_gate)
    : core_(core),
      loop_(std::move(loop)),
      socket_(loop_->context()),
      timer_(loop_->context()),
      stream_(fd),
      peer_(std::move(peer)),
      source_(peer_),
      holds_gate_(holds_gate) {
    clocks_.fill(kNever);
    boost::system::error_code failed;
    socket_.assign(fd, failed);
    if (failed) {
        ::close(fd);
        phase_ = Phase::kClosed;
    }
    ++core_.counters.connections;
}

Connection::~Connection() {
    if (holds_gate_) core_.gate.leave(source_);
    --core_.counters.connections;
}

void Connection::start() {
    if (phase_ == Phase::kClosed) return;
    loop_->add(shared_from_this());
    if (core_.options.proxy_protocol && core_.trusted.contains(peer_)) {
        enter(Phase::kProxyHeader);
        set(kPhaseEnd, limits().header_ms);
        read_proxy_header();
    } else {
        begin_secure();
    }
    arm_timer();
}

void Connection::enter(Phase phase) {
    phase_ = phase;
    clocks_.fill(kNever);
}

// Input.

void Connection::wait_readable() {
    if (is_reading_ || is_input_over_ || phase_ == Phase::kClosed) return;
    if (pipeline_.size() >= kPipelineBytes) {
        // Too much read ahead: only ask now and then whether the client is still there.
        if (clocks_[kPoll] == kNever) set(kPoll, 500);
        return;
    }
    is_reading_ = true;
    socket_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                       [self = shared_from_this()](const boost::system::error_code& error) {
                           self->is_reading_ = false;
                           if (!error) self->on_readable();
                       });
}

void Connection::on_readable() {
    if (phase_ == Phase::kProxyHeader) {
        read_proxy_header();
    } else if (phase_ == Phase::kHandshake) {
        do_handshake();
    } else {
        // Several reads before the next wait, but never so many that other connections starve.
        for (int i = 0; (i < 4 || stream_.has_buffered()) && read_some(); ++i) {
        }
        wait_readable();
    }
    arm_timer();
}

bool Connection::read_some() {
    if (phase_ == Phase::kClosed || is_input_over_ || pipeline_.size() >= kPipelineBytes) {
        return false;
    }
    const auto [data, size] = loop_->read_buffer();
    size_t count = 0;
    switch (stream_.read(data, size, count)) {
        case StreamState::kOk: on_input({data, count}); return true;
        case StreamState::kAgain: return false;
        case StreamState::kAgainWrite: wait_writable(); return false;
        case StreamState::kEnd: on_end_of_input(); return false;
        case StreamState::kError: close(CloseReason::kClientGone); return false;
    }
    return false;
}

void Connection::read_proxy_header() {
    char seen[kProxyHeaderMax];
    const int fd = socket_.native_handle();
    const ssize_t count =
        recv(fd, seen, sizeof(seen) - std::min(sizeof(seen), pipeline_.size()), MSG_PEEK);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return wait_readable();
    if (count <= 0) return close(std::nullopt);
    const size_t before = pipeline_.size();
    pipeline_.append(seen, static_cast<size_t>(count));
    const ProxyHeader header = parse_proxy_header(pipeline_);
    if (header.state == ProxyHeader::State::kBad) {
        ++core_.counters.client_errors;
        return close(std::nullopt);
    }
    // Takes from the socket what belongs to the header, and nothing of what follows it.
    const bool is_done = header.state == ProxyHeader::State::kDone;
    const size_t used = is_done ? header.bytes - before : static_cast<size_t>(count);
    if (recv(fd, seen, used, 0) != static_cast<ssize_t>(used)) return close(std::nullopt);
    if (!is_done) return wait_readable();
    pipeline_.clear();
    if (!header.client.empty()) {
        source_ = header.client;
        if (!core_.trusted.contains(source_)) {
            holds_gate_ = core_.gate.enter(source_);
            if (!holds_gate_) {
                ++core_.counters.refused;
                return close(std::nullopt);
            }
        }
    }
    begin_secure();
}

void Connection::begin_secure() {
    std::shared_ptr<ssl_ctx_st> context = core_.certificate.context();
    if (!context) return begin_http();
    enter(Phase::kHandshake);
    set(kPhaseEnd, limits().header_ms);
    if (!stream_.start_tls(std::move(context)).ok()) return close(std::nullopt);
    do_handshake();
}

void Connection::do_handshake() {
    switch (stream_.handshake()) {
        case StreamState::kOk: return begin_http();
        case StreamState::kAgain: return wait_readable();
        case StreamState::kAgainWrite: return wait_writable();
        case StreamState::kEnd:
        case StreamState::kError: ++core_.counters.client_errors; return close(std::nullopt);
    }
}

void Connection::begin_http() {
    enter(Phase::kIdle);
    set(kPhaseEnd, limits().header_ms);
    on_readable();
}

void Connection::on_input(std::string_view bytes) {
    if (phase_ == Phase::kLinger) return set(kBodyGap, kLingerGapMs);
    if (phase_ == Phase::kRefusal) return;
    if (phase_ == Phase::kAnswer) {
        pipeline_.append(bytes);
        return;
    }
    const size_t used = consume(bytes);
    if (used < bytes.size() && phase_ == Phase::kAnswer) pipeline_.append(bytes.substr(used));
}

// Reads requests until one is under way or the bytes end; returns how many were taken.
size_t Connection::consume(std::string_view bytes) {
    is_consuming_ = true;
    size_t used = 0;
    while (used < bytes.size()) {
        if (phase_ == Phase::kIdle) {
            parser_ = std::make_unique<RequestParser>(limits());
            head_received_ = Clock::now();
            head_is_read_ = false;
            const Clock::time_point first_end = clocks_[kPhaseEnd];
            enter(Phase::kHead);
            set(kPhaseEnd, limits().header_ms);
            // The first request's clock runs since the connection was accepted.
            if (!was_used_) clocks_[kPhaseEnd] = first_end;
        }
        if (phase_ != Phase::kHead && phase_ != Phase::kBody) break;
        used += parser_->feed(bytes.substr(used));
        if (parser_->state() == RequestParser::State::kHeadDone) on_head(bytes.size() - used);
        if (!parser_) continue;
        if (parser_->state() == RequestParser::State::kBody) {
            on_body_bytes();
        } else if (parser_->state() == RequestParser::State::kError) {
            refuse(parser_->error_status(), parser_->error_text());
        } else if (parser_->state() == RequestParser::State::kDone) {
            dispatch();
        }
    }
    is_consuming_ = false;
    return used;
}

void Connection::resume_pipeline() {
    const std::string bytes = std::exchange(pipeline_, {});
    on_input(bytes);
    wait_readable();
}

void Connection::on_end_of_input() {
    is_input_over_ = true;
    const bool is_answered = exchange_ && (exchange_->is_complete() || exchange_->is_aborted());
    if (phase_ == Phase::kRefusal || is_answered) return;  // closes when everything is sent
    close(CloseReason::kClientGone);
}

// `rest`: bytes of the input that lie behind the head.
void Connection::on_head(size_t rest) {
    head_is_read_ = true;
    head_end_ = Clock::now();
    HttpRequest& request = parser_->request();
    request.peer = peer_;
    request.client = resolve_client(source_, request.headers, core_.trusted);
    request.tls = stream_.is_tls();
    ++core_.counters.requests;
    HeadDecision decision;
    std::optional<HttpResponse> refusal = judge_head(decision);
    context_ = std::move(decision.context);
    refusal_.reset();
    const bool has_body = parser_->has_body();
    if (refusal && has_body && parser_->body_fits(rest)) {
        // It is here already: read past, so that the connection goes on.
        refusal_ = std::move(refusal);
        decision.body_bytes = static_cast<uint32_t>(rest);
    } else if (refusal) {
        make_exchange();
        exchange_->respond_and(has_body, std::move(*refusal));
        return pump();
    }
    is_slow_ = decision.is_slow;
    parser_->start_body(decision.body_bytes == 0 ? limits().body_bytes : decision.body_bytes);
    if (parser_->state() != RequestParser::State::kBody) return;
    enter(Phase::kBody);
    set(kBodyTotal, limits().body_total_ms);
    if (parser_->expects_continue() && !refusal_) {
        out_.append("HTTP/1.1 100 Continue\r\n\r\n");
        pump();
    }
}

// Our own refusals, then the handler's. Nothing: go on.
std::optional<HttpResponse> Connection::judge_head(HeadDecision& decision) {
    const HttpRequest& request = parser_->request();
    const std::vector<std::string>& allowed = core_.options.allowed_hosts;
    const std::string* host = request.headers.find("Host");
    if (!allowed.empty()) {
        const std::string_view sent = host == nullptr ? std::string_view() : *host;
        if (std::none_of(allowed.begin(), allowed.end(), [&](const std::string& name) {
                return same_text(name, sent) || same_text(name, host_of(sent));
            })) {
            return core_.handler.on_error(421,
                                          "This server does not answer for the host that the "
                                          "Host header names.");
        }
    }
    // Connections of the peer were counted when it was accepted; the clients of a trusted proxy
    // share its connections and are counted by request.
    if (request.client != source_ && !core_.trusted.contains(request.client)) {
        holds_client_ = core_.gate.enter(request.client);
        if (!holds_client_) {
            ++core_.counters.refused;
            return core_.busy(429, fmt::format("The address {} has {} requests in flight already.",
                                               request.client, limits().connections_per_ip));
        }
    }
    try {
        decision = core_.handler.on_head(request);
    } catch (const std::exception&) {
        return core_.handler.on_error(500, "The request could not be looked at.");
    }
    return std::move(decision.refusal);
}

void Connection::on_body_bytes() {
    set(kBodyGap, limits().body_gap_ms);
    // The rate counts after 5 s, a twelfth of the longest time, and is next broken when the bytes
    // that came would no longer be enough.
    const uint64_t grace_ms = std::min<uint64_t>(5'000, limits().body_total_ms / 12);
    const uint64_t enough_ms = parser_->body_received() * 1'000 / limits().body_rate_bytes;
    clocks_[kBodyRate] = head_end_ + std::chrono::milliseconds(std::max(grace_ms, enough_ms));
}

void Connection::make_exchange() {
    enter(Phase::kAnswer);
    exchange_ = std::make_shared<ConnectionExchange>(
        core_, loop_, weak_from_this(), std::move(parser_->request()),
        ConnectionExchange::Facts{.received = head_end_,
                                  .keep_alive = parser_->keep_alive(),
                                  .is_http_1_0 = parser_->is_http_1_0()});
    parser_.reset();
    answer_bytes_ = 0;
    was_used_ = true;
    ++core_.counters.active;
}

void Connection::dispatch() {
    make_exchange();
    if (refusal_) {
        exchange_->respond_and(false, *std::exchange(refusal_, std::nullopt));
        return pump();
    }
    std::shared_ptr<Exchange> handed = ConnectionExchange::hand_out(exchange_);
    if (is_slow_) {
        const bool is_queued =
            core_.workers.run([&core = core_, handed, context = context_]() mutable {
                try {
                    core.handler.on_request(std::move(handed), std::move(context));
                } catch (const std::exception&) {
                    // The exchange answers for itself when nobody holds it any more.
                }
            });
        if (!is_queued) {
            exchange_->respond_and(false,
                                   core_.busy(503, "Too many requests wait for a worker thread."));
            pump();
        }
        return;
    }
    const std::shared_ptr<ConnectionExchange> exchange = exchange_;
    exchange->hold_wakeups(true);
    try {
        core_.handler.on_request(std::move(handed), context_);
    } catch (const std::exception&) {
        // As above.
    }
    exchange->hold_wakeups(false);
    if (phase_ == Phase::kAnswer) pump();
}

// Answers what was read so far with an error and closes.
void Connection::refuse(int status, std::string_view sentence) {
    if (status == 408) {
        ++core_.counters.timeouts;
    } else {
        ++core_.counters.client_errors;
    }
    HttpResponse response = core_.handler.on_error(status, sentence);
    append_head(out_, response.status, response.headers,
                {.content_length = response.body.size(),
                 .is_chunked = false,
                 .keep_alive = false,
                 .is_http_1_0 = false});
    out_.append(response.body);
    refusal_status_ = response.status;
    enter(Phase::kRefusal);
    pump();
}

}  // namespace tenon::net
