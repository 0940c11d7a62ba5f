// One connection: reads requests, hands them to the handler, sends the answers, keeps the clocks.
// Lives on one loop; only the loop's thread calls it. Internal to the server; includes Asio.
#pragma once

#include "core/net/connection_exchange.h"
#include "core/net/server_core.h"
#include "core/net/server_loop.h"
#include "core/net/server_parser.h"
#include "core/net/tls.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::net {

class Connection : public std::enable_shared_from_this<Connection> {
public:
    // Takes over the non-blocking socket `fd`. `holds_gate`: the gate was entered for `peer`.
    Connection(ServerCore& core, std::shared_ptr<Loop> loop, int fd, Address peer, bool holds_gate);
    ~Connection();

    void start();
    // The exchange has bytes to send, or ended.
    void on_output();
    void on_clocks_changed() { arm_timer(); }
    // Waiting between two requests.
    bool is_idle() const noexcept { return phase_ == Phase::kIdle; }
    void close(std::optional<CloseReason> reason);

private:
    enum class Phase {
        kProxyHeader,
        kHandshake,
        kIdle,  // no byte of the next request yet
        kHead,
        kBody,
        kAnswer,   // an exchange is under way
        kRefusal,  // our own last answer is being sent
        kLinger,   // everything is sent; what still comes in is thrown away, so that the client
                   // reads the answer before it meets a reset
        kClosed,
    };
    // One timer serves them all: it fires at the earliest. kNever in the ones that are off.
    enum ClockName {
        kPhaseEnd,
        kBodyGap,  // also of what is thrown away in kLinger
        kBodyTotal,
        kBodyRate,
        kWriteStall,
        kPing,
        kPoll,
        kClocks
    };
    static constexpr uint64_t kLingerGapMs = 2'000;
    static constexpr Clock::time_point kNever = Clock::time_point::max();

    void enter(Phase phase);

    // Input.
    void wait_readable();
    void on_readable();
    bool read_some();  // false: nothing more to read now
    void read_proxy_header();
    void begin_secure();
    void do_handshake();
    void begin_http();
    void on_input(std::string_view bytes);
    size_t consume(std::string_view bytes);
    void resume_pipeline();
    void on_end_of_input();
    void on_head(size_t rest);
    void on_body_bytes();
    std::optional<HttpResponse> judge_head(HeadDecision& decision);
    void dispatch();
    void make_exchange();
    void refuse(int status, std::string_view sentence);

    // Output.
    void pump();
    void wait_writable();
    void after_sent();
    void end_exchange(std::optional<CloseReason> reason);
    void end_refusal();
    void begin_linger();
    void reset();

    // Clocks.
    void arm_timer();
    void on_timer();
    void on_phase_end();
    void check_body_clocks(Clock::time_point now);
    void check_answer_clocks(Clock::time_point now);
    void check_client_is_there();
    void set(ClockName name, uint64_t ms) {
        clocks_[name] = Clock::now() + std::chrono::milliseconds(ms);
    }
    const config::Limits& limits() const noexcept { return core_.limits(); }

    ServerCore& core_;
    const std::shared_ptr<Loop> loop_;
    boost::asio::posix::stream_descriptor socket_;
    boost::asio::steady_timer timer_;
    Stream stream_;
    const Address peer_;
    Address source_;  // the peer, or whom the PROXY protocol named
    bool holds_gate_;
    bool holds_client_ = false;  // the gate was entered for the client of this request

    Phase phase_ = Phase::kHandshake;
    bool is_reading_ = false, is_writing_ = false, is_consuming_ = false, is_input_over_ = false;
    bool was_used_ = false;  // a request was read before
    std::array<Clock::time_point, kClocks> clocks_;
    Clock::time_point armed_ = kNever;

    std::unique_ptr<RequestParser> parser_;  // of the request that is being read
    bool head_is_read_ = false;
    Clock::time_point head_received_, head_end_;
    std::shared_ptr<void> context_;
    bool is_slow_ = false;
    std::optional<HttpResponse> refusal_;  // sent when the body has been read
    std::shared_ptr<ConnectionExchange> exchange_;
    std::string pipeline_;  // read ahead, bounded: then reading stops
    std::string out_;       // being sent, from out_sent_
    size_t out_sent_ = 0;
    bool out_is_answer_ = false;  // of the exchange, not an interim answer or a refusal
    uint64_t answer_bytes_ = 0;
    int refusal_status_ = 0;
};

}  // namespace tenon::net
