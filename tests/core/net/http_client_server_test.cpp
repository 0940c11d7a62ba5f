#include "core/net/http_client.h"
#include "tests/core/net/server_fixture.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;

// Our client against our server.
class HttpClientServer : public testing::Test {
protected:
    void SetUp() override {
        Result<std::unique_ptr<Server>> server = Server::start({}, handler_);
        ASSERT_TRUE(server.ok()) << server.error().message;
        server_ = std::move(*server);
        Result<std::unique_ptr<Client>> client = Client::create();
        ASSERT_TRUE(client.ok());
        client_ = std::move(*client);
    }
    ClientRequest request(const std::string& target, std::string body = {}) {
        ClientRequest made;
        made.method = body.empty() ? "GET" : "POST";
        made.url = "http://127.0.0.1:" + std::to_string(server_->port()) + target;
        made.body = std::move(body);
        return made;
    }

    TestHandler handler_;
    std::unique_ptr<Server> server_;
    std::unique_ptr<Client> client_;
};

TEST_F(HttpClientServer, SendsBothWaysOnOneConnection) {
    std::string body(3 << 20, 'x');
    for (size_t i = 0; i < body.size(); ++i)
        body[i] = static_cast<char>(i * 7);
    for (int i = 0; i < 3; ++i) {
        const Result<HttpResponse> hello = client_->send(request("/"));
        ASSERT_TRUE(hello.ok()) << hello.error().message;
        EXPECT_EQ(hello->body, "hello");
        const Result<HttpResponse> echo = client_->send(request("/echo", body));
        ASSERT_TRUE(echo.ok()) << echo.error().message;
        EXPECT_EQ(echo->body, body);
    }
    EXPECT_EQ(server_->stats().accepted, 1u);
}

TEST_F(HttpClientServer, StreamsAndCancels) {
    std::promise<Status> ended;
    std::promise<std::string> first;
    std::atomic<int> pieces{0};
    ClientCallbacks callbacks;
    callbacks.on_body = [&](std::string_view piece) {
        if (pieces++ == 0) first.set_value(std::string(piece));
    };
    callbacks.on_end = [&](Status status) { ended.set_value(std::move(status)); };
    const std::shared_ptr<ClientCall> call = client_->start(request("/hold"), std::move(callbacks));
    const std::shared_ptr<Exchange> held = handler_.take_held();
    ASSERT_NE(held, nullptr);
    std::promise<CloseReason> closed;
    held->on_close([&](CloseReason reason) { closed.set_value(reason); });
    held->begin(200, {});
    EXPECT_TRUE(held->write("piece"));
    EXPECT_EQ(first.get_future().get(), "piece");
    call->cancel();
    EXPECT_EQ(ended.get_future().get().error().code, Code::kCancelled);
    EXPECT_EQ(closed.get_future().get(), CloseReason::kClientGone);
    EXPECT_TRUE(client_->send(request("/")).ok());
}

TEST_F(HttpClientServer, APausedCallPausesTheServersStream) {
    std::promise<Status> ended;
    std::atomic<size_t> bytes{0};
    ClientCallbacks callbacks;
    callbacks.on_body = [&](std::string_view piece) { bytes += piece.size(); };
    callbacks.on_end = [&](Status status) { ended.set_value(std::move(status)); };
    const std::shared_ptr<ClientCall> call = client_->start(request("/hold"), std::move(callbacks));
    const std::shared_ptr<Exchange> held = handler_.take_held();
    ASSERT_NE(held, nullptr);
    call->pause(true);
    std::promise<void> blocked, free_again;
    std::atomic<bool> is_paused{false};
    held->on_pause([&](bool paused) {
        if (paused && !is_paused.exchange(true)) blocked.set_value();
        if (!paused && is_paused) free_again.set_value();
    });
    held->begin(200, {});
    const std::string piece(64 << 10, 'x');
    size_t sent = 0;
    while (!is_paused && sent < (256u << 20)) {
        held->write(piece);
        sent += piece.size();
    }
    blocked.get_future().get();
    EXPECT_EQ(bytes, 0u);
    call->pause(false);
    free_again.get_future().get();
    held->finish();
    EXPECT_TRUE(ended.get_future().get().ok());
    EXPECT_EQ(bytes, sent);
}

TEST_F(HttpClientServer, AStoppedServerCutsAndRefuses) {
    std::promise<Status> ended;
    ClientCallbacks callbacks;
    callbacks.on_end = [&](Status status) { ended.set_value(std::move(status)); };
    client_->start(request("/hold"), std::move(callbacks));
    std::shared_ptr<Exchange> held = handler_.take_held();
    ASSERT_NE(held, nullptr);
    held->begin(200, {});
    held->write("piece");
    server_->stop_now();
    EXPECT_FALSE(ended.get_future().get().ok());
    held.reset();
    EXPECT_EQ(client_->send(request("/")).error().code, Code::kBusy);
}

}  // namespace
}  // namespace tenon::net
