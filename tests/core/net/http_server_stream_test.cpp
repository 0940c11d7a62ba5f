// Answers that take their time: back-pressure, clients that leave, deadlines and pings.
#include "core/net/http_server.h"
#include "tests/core/net/server_fixture.h"

#include <thread>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class HttpServerStream : public ServerTest {
protected:
    std::shared_ptr<Exchange> hold(RawSocket& socket) {
        socket.send(get("/hold"));
        return handler.take_held();
    }
};

TEST_F(HttpServerStream, PausesAndResumes) {
    options.limits.stream_high_bytes = 64 << 10;
    options.limits.stream_low_bytes = 16 << 10;
    start();
    RawSocket socket(server->port(), {}, 4096);
    const std::shared_ptr<Exchange> held = hold(socket);
    ASSERT_TRUE(held);
    std::atomic<int> pauses = 0, resumes = 0;
    std::atomic<bool> is_paused = false;
    held->on_pause([&](bool paused) {
        ++(paused ? pauses : resumes);
        is_paused = paused;
    });
    held->begin(200, {});
    size_t written = 0;
    const auto end = steady_clock::now() + std::chrono::seconds(5);
    while (!is_paused && steady_clock::now() < end) {
        held->write(std::string(4096, 'x'));
        written += 4096;
        std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
    EXPECT_EQ(pauses, 1);
    EXPECT_GE(held->unsent_bytes(), options.limits.stream_high_bytes);
    EXPECT_LT(held->unsent_bytes(), 2 * options.limits.stream_high_bytes);
    held->finish();
    const RawResponse got = socket.read_response();
    EXPECT_EQ(got.body.size(), written);
    EXPECT_TRUE(got.is_whole);
    EXPECT_EQ(resumes, 1);
    EXPECT_EQ(held->unsent_bytes(), 0u);
}

TEST_F(HttpServerStream, AClientThatLeavesIsNoticedAtOnce) {
    start();
    // Before a byte of the answer, and in the middle of it; by FIN and by RST.
    for (const bool has_begun : {false, true}) {
        for (const bool by_reset : {false, true}) {
            RawSocket socket = connect();
            const std::shared_ptr<Exchange> held = hold(socket);
            ASSERT_TRUE(held);
            std::atomic<int> calls = 0;
            std::atomic<CloseReason> reason{};
            held->on_close([&](CloseReason why) {
                reason = why;
                ++calls;
            });
            if (has_begun) {
                held->begin(200, {});
                held->write("token");
                socket.read_until("token");
            }
            const auto begin = steady_clock::now();
            if (by_reset) {
                socket.reset();
            } else {
                socket.end_sending();
            }
            EXPECT_TRUE(eventually([&] { return calls > 0; }));
            EXPECT_LT(steady_clock::now() - begin, milliseconds(500));
            EXPECT_EQ(reason, CloseReason::kClientGone);
            EXPECT_FALSE(held->write("token"));
            EXPECT_TRUE(eventually([&] { return server->stats().active == 0; }));
            EXPECT_EQ(calls, 1);
            // Asked too late, it is still told.
            std::atomic<int> late = 0;
            held->on_close([&](CloseReason) { ++late; });
            EXPECT_TRUE(eventually([&] { return late == 1; }));
        }
    }
    EXPECT_EQ(handler.accesses(4).size(), 4u);
}

TEST_F(HttpServerStream, ALeavingClientIsNoticedBehindAFullPipeline) {
    start();
    RawSocket socket = connect();
    const std::shared_ptr<Exchange> held = hold(socket);
    ASSERT_TRUE(held);
    std::atomic<bool> is_gone = false;
    held->on_close([&](CloseReason) { is_gone = true; });
    std::string more;
    for (int i = 0; i < 2000; ++i)
        more += get("/");
    socket.send(more);
    socket.end_sending();
    EXPECT_TRUE(eventually([&] { return is_gone.load(); }));
}

TEST_F(HttpServerStream, ARequestAndAFinTogetherAreAnswered) {
    start();
    for (int i = 0; i < 20; ++i) {
        RawSocket socket = connect();
        socket.send(get("/"));
        socket.end_sending();
        EXPECT_EQ(socket.read_response().body, "hello");
    }
}

TEST_F(HttpServerStream, ADeadlineBeforeTheAnswerAnswers) {
    start();
    RawSocket socket = connect();
    const std::shared_ptr<Exchange> held = hold(socket);
    ASSERT_TRUE(held);
    std::atomic<int> reason = -1;
    held->on_close([&](CloseReason why) { reason = static_cast<int>(why); });
    Exchange::Expiry expiry;
    expiry.response.status = 504;
    expiry.response.body = "too long (clock timeouts.default)";
    held->set_deadline(milliseconds(100), expiry);
    const RawResponse got = socket.read_response();
    EXPECT_EQ(got.status, 504);
    EXPECT_EQ(got.body, expiry.response.body);
    EXPECT_EQ(reason, static_cast<int>(CloseReason::kDeadline));
    held->respond({});  // too late, changes nothing
    socket.send(get("/"));
    EXPECT_EQ(socket.read_response().body, "hello");
    EXPECT_EQ(handler.accesses(1).at(0).closed, CloseReason::kDeadline);
    EXPECT_EQ(server->stats().timeouts, 1u);
}

TEST_F(HttpServerStream, ADeadlineInTheMiddleCutsBehindItsText) {
    start();
    RawSocket socket = connect();
    const std::shared_ptr<Exchange> held = hold(socket);
    ASSERT_TRUE(held);
    held->begin(200, {});
    held->write("data: 1\n\n");
    held->set_deadline(milliseconds(100), {.response = {}, .stream_text = "event: error\n\n"});
    const RawResponse got = socket.read_response();
    EXPECT_EQ(got.body, "data: 1\n\nevent: error\n\n");
    EXPECT_FALSE(got.is_whole);
    EXPECT_FALSE(held->write("data: 2\n\n"));
}

TEST_F(HttpServerStream, ADeadlineCountsFromTheEndOfTheHead) {
    start();
    RawSocket socket = connect();
    socket.send("POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n");
    std::this_thread::sleep_for(milliseconds(300));
    socket.send("x");
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    const auto begin = steady_clock::now();
    Exchange::Expiry expiry;
    expiry.response.status = 504;
    held->set_deadline(milliseconds(350), expiry);
    EXPECT_EQ(socket.read_response().status, 504);
    EXPECT_LT(steady_clock::now() - begin, milliseconds(200));
}

TEST_F(HttpServerStream, ALaterDeadlineReplacesAnEarlierOne) {
    start();
    RawSocket socket = connect();
    const std::shared_ptr<Exchange> held = hold(socket);
    ASSERT_TRUE(held);
    Exchange::Expiry expiry;
    expiry.response.status = 504;
    held->set_deadline(milliseconds(100), expiry);
    held->set_deadline(milliseconds(60'000), expiry);
    std::this_thread::sleep_for(milliseconds(200));
    held->respond({});
    EXPECT_EQ(socket.read_response().status, 200);
}

TEST_F(HttpServerStream, ASilentStreamIsPinged) {
    options.limits.ping_ms = 60;
    start();
    RawSocket socket = connect();
    const std::shared_ptr<Exchange> held = hold(socket);
    ASSERT_TRUE(held);
    held->set_ping(": ping\n\n");
    std::this_thread::sleep_for(milliseconds(120));  // nothing before the answer has begun
    EXPECT_FALSE(held->has_begun());
    held->begin(200, {});
    EXPECT_NE(socket.read_until(": ping\n\n").find(": ping"), std::string::npos);
    EXPECT_NE(socket.read_until(": ping\n\n").find(": ping"), std::string::npos);
    held->finish();
    EXPECT_TRUE(socket.read_until("0\r\n\r\n").ends_with("0\r\n\r\n"));
}

TEST_F(HttpServerStream, ManyStreamsFromManyThreads) {
    options.io_threads = 2;
    start();
    constexpr int kStreams = 32, kTokens = 200;
    std::vector<RawSocket> sockets;
    std::vector<std::thread> writers;
    for (int i = 0; i < kStreams; ++i) {
        sockets.push_back(connect());
        writers.emplace_back([held = hold(sockets.back())] {
            held->begin(200, {});
            for (int token = 0; token < kTokens; ++token) {
                held->write("token " + std::to_string(token) + "\n");
                if (token % 16 == 0) std::this_thread::yield();
            }
            held->finish();
        });
    }
    std::string wanted;
    for (int token = 0; token < kTokens; ++token)
        wanted += "token " + std::to_string(token) + "\n";
    for (RawSocket& socket : sockets)
        EXPECT_EQ(socket.read_response().body, wanted);
    for (std::thread& writer : writers)
        writer.join();
}

// The end is queued just when the loop has sent all that came before it.
TEST_F(HttpServerStream, AnEndThatMeetsTheLastSendIsNotLost) {
    start();
    for (int i = 0; i < 3'000; ++i) {
        RawSocket socket = connect();
        const std::shared_ptr<Exchange> held = hold(socket);
        held->begin(200, {});
        held->write("begin ");
        const auto moment = std::chrono::steady_clock::now() + std::chrono::microseconds(i % 100);
        while (std::chrono::steady_clock::now() < moment) {
        }
        held->write("end");
        held->finish();
        const auto response = socket.read_response();
        ASSERT_TRUE(response.is_whole) << "round " << i;
        ASSERT_EQ(response.body, "begin end") << "round " << i;
    }
}

TEST_F(HttpServerStream, RandomLeavingUnderLoad) {
    options.io_threads = 2;
    options.limits.stream_high_bytes = 8 << 10;
    options.limits.stream_low_bytes = 2 << 10;
    std::atomic<int> started = 0, ended = 0;
    std::mutex mutex;
    std::vector<std::thread> writers;
    handler.request = [&](std::shared_ptr<Exchange> exchange) {
        ++started;
        const std::lock_guard lock(mutex);
        writers.emplace_back([&ended, exchange = std::move(exchange)] {
            exchange->on_close([](CloseReason) {});
            exchange->on_pause([](bool) {});
            exchange->begin(200, {});
            for (int i = 0; i < 50 && exchange->write("some text of a token\n"); ++i) {
                std::this_thread::sleep_for(std::chrono::microseconds(50));
            }
            exchange->finish();
            ++ended;
        });
    };
    start();
    for (int i = 0; i < 200; ++i) {
        RawSocket socket = connect();
        socket.send(get("/"));
        if (i % 3 == 0) socket.read_until("token");
        if (i % 4 == 0) {
            socket.reset();
        } else if (i % 4 == 1) {
            socket.end_sending();
        } else if (i % 4 == 2) {
            EXPECT_TRUE(i % 3 == 0 || socket.read_response().is_whole);
        }
    }
    EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
    EXPECT_TRUE(eventually([&] { return ended == started.load(); }));
    EXPECT_EQ(server->stats().active, 0u);
    for (std::thread& writer : writers)
        writer.join();
}

}  // namespace
}  // namespace tenon::net
