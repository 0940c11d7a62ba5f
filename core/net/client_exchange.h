// One request of the client and its answer: clocks, retry, pause and cancel.
#pragma once

#include "core/net/client_connection.h"
#include "core/net/client_parser.h"
#include "core/net/http_client.h"

#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::net {

class ClientLane;

// cancel() and pause() from any thread; the rest on the lane's.
class ClientExchange : public ClientCall, public std::enable_shared_from_this<ClientExchange> {
public:
    ClientExchange(std::weak_ptr<ClientLane> lane, ClientRequest request,
                   ClientCallbacks callbacks);

    void cancel() override;
    void pause(bool paused) override;

    void begin();
    // A connection of the pool, or one that is to be opened.
    void use_connection(std::shared_ptr<ClientConnection> connection, bool is_reused);
    // Ends it: on_end, exactly once.
    void end(Status status);

private:
    using Clock = std::chrono::steady_clock;
    using Deadline = std::optional<Clock::time_point>;

    Status compose(const ProxyRules& proxies);
    void send();
    void receive();
    void on_bytes(ErrorCode error, std::string_view bytes);
    // Hands out what the parser finds until it needs more, the caller pauses, or it ends.
    void take(std::string_view bytes);
    void on_closed(ErrorCode error);
    void complete(bool has_leftover);
    void resume();
    bool may_retry() const;
    void give_connection_back(bool reusable);
    void set_clock(Deadline& deadline, std::chrono::milliseconds budget);
    void arm();
    void on_timer();

    std::weak_ptr<ClientLane> lane_;
    ClientRequest request_;
    ClientCallbacks callbacks_;
    Url url_;
    const ClientProxy* proxy_ = nullptr;  // of the lane's options
    std::string head_;
    std::optional<ResponseParser> parser_;
    std::shared_ptr<ClientConnection> connection_;
    bool is_reused_ = false, is_retry_ = false;
    bool is_writing_ = false, has_head_ = false;
    bool has_ended_ = false;
    std::atomic<bool> is_paused_{false};
    std::string held_;  // bytes that came before a pause and were not handed out
    bool is_reading_ = false;
    Deadline connect_at_, head_at_, piece_at_, total_at_, armed_at_;
    std::optional<boost::asio::steady_timer> timer_;
};

}  // namespace tenon::net
