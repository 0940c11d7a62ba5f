// A server with a handler made of functions, and clients that speak in raw bytes.
#pragma once

#include "core/net/http_server.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::net {

// "/": "hello"; "/echo": the body; "/hold": kept in `held` for the test to answer.
class TestHandler final : public Handler {
public:
    HeadDecision on_head(const HttpRequest& head) override;
    void on_request(std::shared_ptr<Exchange> exchange, std::shared_ptr<void> context) override;
    HttpResponse on_error(int status, std::string_view sentence) override;
    void on_access(const Access& access) override;

    // The next held exchange, or null after 5 s.
    std::shared_ptr<Exchange> take_held();
    struct Seen {
        bool has_request;
        int status;
        std::optional<CloseReason> closed;
    };
    // Waits until `count` accesses were seen; all of them.
    std::vector<Seen> accesses(size_t count);

    std::function<HeadDecision(const HttpRequest&)> head;    // set before the server starts
    std::function<void(std::shared_ptr<Exchange>)> request;  // instead of the above

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::shared_ptr<Exchange>> held_;
    std::vector<Seen> accesses_;
};

struct RawResponse {
    int status = 0;  // 0: the connection ended first
    std::string head;
    std::string body;  // without chunk framing
    bool is_whole = false;
    std::string header(std::string_view name) const;
};

// A blocking client socket; every wait ends after 5 s.
class RawSocket {
public:
    RawSocket() = default;
    // `source`: the client's own loopback address; `receive_bytes`: its receive buffer, 0: default.
    explicit RawSocket(uint16_t port, const std::string& source = {}, int receive_bytes = 0);
    explicit RawSocket(const std::string& unix_path);
    ~RawSocket() { close(); }
    RawSocket(RawSocket&& other) noexcept;
    RawSocket& operator=(RawSocket&& other) noexcept;

    int fd() const noexcept { return fd_; }
    bool send(std::string_view bytes);
    // One answer; a HEAD answer has no body.
    RawResponse read_response(bool is_head = false);
    // Up to and with `marker`; what there is when the connection ends.
    std::string read_until(std::string_view marker);
    std::string read_to_end();
    // True when the server closes within `limit`; what comes before is thrown away.
    bool is_closed_within(std::chrono::milliseconds limit);
    void end_sending();  // FIN
    void reset();        // RST
    void close();

private:
    bool fill(std::chrono::milliseconds limit);

    int fd_ = -1;
    std::string buffer_;
};

class ServerTest : public testing::Test {
protected:
    // Short clocks of a test are set here before start().
    ServerOptions options;
    TestHandler handler;
    std::unique_ptr<Server> server;

    void start();
    RawSocket connect(const std::string& source = {}) { return RawSocket(server->port(), source); }
    // Sends `bytes` on a new connection and reads one answer.
    RawResponse ask(std::string_view bytes);
    // Polls until true, at most 5 s.
    static bool eventually(const std::function<bool()>& condition);
};

std::string get(std::string_view path, std::string_view more_headers = {});

}  // namespace tenon::net
