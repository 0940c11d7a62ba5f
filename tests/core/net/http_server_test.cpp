// Requests and answers over real sockets: what a well-behaved client sees.
#include "core/net/http_server.h"
#include "tests/core/net/server_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;

class HttpServer : public ServerTest {};

TEST_F(HttpServer, AnswersAndKeepsTheConnection) {
    start();
    RawSocket socket = connect();
    for (int i = 0; i < 3; ++i) {
        socket.send("POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
        const RawResponse got = socket.read_response();
        EXPECT_EQ(got.status, 200);
        EXPECT_EQ(got.body, "abc");
        EXPECT_EQ(got.header("Connection"), "");
        EXPECT_EQ(got.header("Content-Type"), "text/plain");
        EXPECT_TRUE(got.header("Date").ends_with(" GMT")) << got.head;
    }
    EXPECT_EQ(server->stats().accepted, 1u);
    EXPECT_EQ(server->stats().requests, 3u);
    socket.send(get("/", "Connection: close\r\n"));
    EXPECT_EQ(socket.read_response().header("Connection"), "close");
    EXPECT_TRUE(socket.is_closed_within(milliseconds(1000)));
    socket.close();
    EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
    EXPECT_EQ(handler.accesses(4).size(), 4u);
}

TEST_F(HttpServer, AnswersARequestThatComesByteByByte) {
    start();
    RawSocket socket = connect();
    for (const char c :
         std::string("POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                     "\r\n3\r\nabc\r\n0\r\n\r\n")) {
        socket.send({&c, 1});
        std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    EXPECT_EQ(socket.read_response().body, "abc");
}

TEST_F(HttpServer, AnswersPipelinedRequestsInOrder) {
    start();
    RawSocket socket = connect();
    std::string all;
    for (int i = 0; i < 1000; ++i) {
        const std::string body = std::to_string(i);
        all += "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + body;
    }
    std::thread sender([&] { socket.send(all); });
    for (int i = 0; i < 1000; ++i)
        ASSERT_EQ(socket.read_response().body, std::to_string(i));
    sender.join();
}

TEST_F(HttpServer, PipelinedRequestsBehindASlowAnswerAreBounded) {
    start();
    RawSocket socket = connect();
    std::string all = get("/hold");
    for (int i = 0; i < 1000; ++i)
        all += get("/", "X-Long: " + std::string(100, 'x') + "\r\n");
    std::thread sender([&] { socket.send(all); });
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    sender.join();
    EXPECT_EQ(server->stats().requests, 1u);
    held->respond({});
    for (int i = 0; i < 1001; ++i)
        ASSERT_EQ(socket.read_response().status, 200) << i;
}

TEST_F(HttpServer, AThousandPipelinedRequestsAndAResetLeakNothing) {
    start();
    RawSocket socket = connect();
    std::string all = get("/hold");
    for (int i = 0; i < 1000; ++i)
        all += get("/");
    socket.send(all);
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    std::atomic<bool> is_gone = false;
    held->on_close([&](CloseReason reason) { is_gone = reason == CloseReason::kClientGone; });
    socket.reset();
    EXPECT_TRUE(eventually([&] { return is_gone.load(); }));
    EXPECT_TRUE(eventually([&] { return server->stats().connections == 0; }));
    EXPECT_EQ(server->stats().active, 0u);
    EXPECT_FALSE(held->write("x"));
}

TEST_F(HttpServer, HeadHasTheHeadersAndNoBody) {
    start();
    RawSocket socket = connect();
    socket.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n" + get("/"));
    const RawResponse got = socket.read_response(true);
    EXPECT_EQ(got.header("Content-Length"), "5");
    EXPECT_EQ(socket.read_response().body, "hello");
}

TEST_F(HttpServer, StreamsInChunksAndKeepsTheConnection) {
    start();
    RawSocket socket = connect();
    for (int round = 0; round < 2; ++round) {
        socket.send(get("/hold"));
        const std::shared_ptr<Exchange> held = handler.take_held();
        ASSERT_TRUE(held);
        EXPECT_FALSE(held->write("too early"));
        Headers headers;
        headers.add("Content-Type", "text/event-stream");
        headers.add("Content-Length", "7");
        headers.add("X-Bad", "a\r\nInjected: 1");
        held->begin(200, headers);
        EXPECT_TRUE(held->has_begun());
        std::string wanted;
        for (int i = 0; i < 100; ++i) {
            const std::string piece = "piece " + std::to_string(i) + "\n";
            wanted += piece;
            EXPECT_TRUE(held->write(piece));
        }
        held->write("");  // would end the body if it were sent
        held->finish();
        EXPECT_FALSE(held->write("too late"));
        const RawResponse got = socket.read_response();
        EXPECT_EQ(got.body, wanted);
        EXPECT_TRUE(got.is_whole);
        EXPECT_EQ(got.header("Content-Length"), "");
        EXPECT_EQ(got.header("Injected"), "");
    }
}

TEST_F(HttpServer, Http10GetsPlainBodies) {
    start();
    EXPECT_EQ(ask("GET / HTTP/1.0\r\n\r\n").header("Connection"), "close");
    RawSocket socket = connect();
    socket.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_EQ(socket.read_response().header("Connection"), "keep-alive");
    socket.send("GET /hold HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    held->begin(200, {});
    held->write("plain");
    held->finish();
    const RawResponse got = socket.read_response();
    EXPECT_EQ(got.header("Transfer-Encoding"), "");
    EXPECT_EQ(got.body, "plain");
}

TEST_F(HttpServer, ContinuesWhenAskedTo) {
    start();
    RawSocket socket = connect();
    socket.send(
        "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(socket.read_response().status, 100);
    socket.send("ab");
    EXPECT_EQ(socket.read_response().body, "ab");
    // Refused from the head alone: no "go on" for a body that nobody wants.
    socket.send(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(socket.read_response().status, 413);
}

TEST_F(HttpServer, ARefusalFromTheHeadSparesTheBody) {
    handler.head = [](const HttpRequest& head) {
        HeadDecision decision;
        EXPECT_TRUE(head.body.empty());
        if (head.path == "/secret") {
            decision.refusal.emplace();
            decision.refusal->status = 401;
        }
        decision.body_bytes = 10;
        return decision;
    };
    start();
    RawSocket socket = connect();
    // A body that came along is read past, and is not taken for a request.
    const std::string body = get("/secret");
    socket.send("POST /secret HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body + get("/"));
    EXPECT_EQ(socket.read_response().status, 401);
    EXPECT_EQ(socket.read_response().status, 200);
    socket.send(get("/secret") + get("/"));
    EXPECT_EQ(socket.read_response().status, 401);
    EXPECT_EQ(socket.read_response().status, 200);  // no body: the connection goes on
    socket.send("POST /secret HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n");
    const RawResponse got = socket.read_response();
    EXPECT_EQ(got.status, 401);
    EXPECT_EQ(got.header("Connection"), "close");
    EXPECT_EQ(ask("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n").status, 413);
}

TEST_F(HttpServer, AClientThatSendsTooMuchStillReadsWhy) {
    start();
    RawSocket socket = connect();
    socket.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9000000\r\n\r\n");
    EXPECT_TRUE(socket.send(std::string(9'000'000, 'x')));
    EXPECT_EQ(socket.read_response().status, 413);
}

TEST_F(HttpServer, SlowHandlersRunElsewhere) {
    options.slow_threads = 1;
    options.limits.queue_requests = 1;
    handler.head = [](const HttpRequest& head) {
        HeadDecision decision;
        decision.is_slow = head.path == "/slow";
        decision.context = std::make_shared<std::string>(head.path);
        return decision;
    };
    std::atomic<bool> may_end = false;
    std::atomic<int> inside = 0;
    handler.request = [&](std::shared_ptr<Exchange> exchange) {
        if (exchange->request().path == "/slow") {
            ++inside;
            while (!may_end)
                std::this_thread::sleep_for(milliseconds(1));
        }
        exchange->respond({});
    };
    start();
    RawSocket first = connect(), second = connect(), third = connect();
    first.send(get("/slow"));
    ASSERT_TRUE(eventually([&] { return inside == 1; }));
    second.send(get("/slow"));
    ASSERT_TRUE(eventually([&] { return server->stats().active == 2; }));
    third.send(get("/slow"));
    EXPECT_EQ(third.read_response().status, 503);  // the queue of one is full
    EXPECT_EQ(ask(get("/")).status, 200);          // and the others do not wait
    may_end = true;
    EXPECT_EQ(first.read_response().status, 200);
    EXPECT_EQ(second.read_response().status, 200);
}

TEST_F(HttpServer, AnExchangeThatIsDroppedAnswers500) {
    handler.request = [](std::shared_ptr<Exchange> exchange) {
        if (exchange->request().path == "/begun") {
            exchange->begin(200, {});
            exchange->write("half");
        }
        if (exchange->request().path == "/throws") throw std::runtime_error("lost");
    };
    start();
    EXPECT_EQ(ask(get("/none")).status, 500);
    EXPECT_EQ(ask(get("/throws")).status, 500);
    const RawResponse begun = ask(get("/begun"));
    EXPECT_EQ(begun.body, "half");
    EXPECT_FALSE(begun.is_whole);
}

TEST_F(HttpServer, AnAbortIsSeenAsACut) {
    start();
    for (const char* version : {"1.1", "1.0"}) {
        RawSocket socket = connect();
        socket.send(std::string("GET /hold HTTP/") + version + "\r\nHost: h\r\n\r\n");
        const std::shared_ptr<Exchange> held = handler.take_held();
        ASSERT_TRUE(held);
        held->begin(200, {});
        held->write("half");
        socket.read_until("half");
        held->abort();
        char byte;
        ssize_t got;
        do
            got = recv(socket.fd(), &byte, 1, 0);
        while (got > 0 && byte != '0');
        EXPECT_TRUE(std::string(version) == "1.1" ? got == 0 : got < 0) << version;
    }
}

TEST_F(HttpServer, ListensOnAUnixSocket) {
    const std::string path =
        (std::filesystem::temp_directory_path() / ("tenon-net-" + std::to_string(getpid())))
            .string();
    options.host = "unix:" + path;
    options.limits.connections_per_ip = 1;  // does not count where there is no address
    start();
    RawSocket one(path), two(path);
    one.send(get("/"));
    two.send(get("/"));
    EXPECT_EQ(one.read_response().body, "hello");
    EXPECT_EQ(two.read_response().body, "hello");
    EXPECT_FALSE(Server::start(options, handler).ok());  // in use
    server.reset();
    EXPECT_FALSE(std::filesystem::exists(path));
}

TEST_F(HttpServer, RefusesWhatItCannotListenOn) {
    start();
    ServerOptions again = options;
    again.port = server->port();
    const auto message = [&](const ServerOptions& wrong) {
        const auto started = Server::start(wrong, handler);
        EXPECT_FALSE(started.ok());
        return started.ok() ? "" : started.error().message;
    };
    EXPECT_NE(message(again).find("in use"), std::string::npos);
    again = options;
    again.host = "192.0.2.1";
    EXPECT_NE(message(again).find("192.0.2.1:0"), std::string::npos);
    again = options;
    again.trusted_proxies = {"10.0.0.0/40"};
    EXPECT_NE(message(again).find("10.0.0.0/40"), std::string::npos);
    again = options;
    again.tls.certificate_file = "/nonexistent";
    EXPECT_NE(message(again).find("key"), std::string::npos);
    again.tls.key_file = "/nonexistent";
    EXPECT_NE(message(again).find("/nonexistent"), std::string::npos);
}

TEST_F(HttpServer, DrainsAndStops) {
    start();
    RawSocket idle = connect(), busy = connect();
    idle.send(get("/"));
    idle.read_response();
    busy.send(get("/hold"));
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    server->stop_accepting();
    EXPECT_EQ(RawSocket(server->port()).fd(), -1);
    server->close_idle();
    EXPECT_TRUE(idle.is_closed_within(milliseconds(1000)));
    HttpResponse response;
    response.body = "still answered";
    held->respond(response);
    const RawResponse got = busy.read_response();
    EXPECT_EQ(got.body, "still answered");
    EXPECT_EQ(got.header("Connection"), "close");
}

TEST_F(HttpServer, StopNowClosesEverything) {
    options.io_threads = 2;
    start();
    std::vector<RawSocket> sockets;
    std::vector<std::shared_ptr<Exchange>> held;
    std::atomic<int> stopped = 0;
    for (int i = 0; i < 8; ++i) {
        sockets.push_back(connect());
        sockets.back().send(get("/hold"));
        held.push_back(handler.take_held());
        ASSERT_TRUE(held.back());
        held.back()->on_close(
            [&](CloseReason reason) { stopped += reason == CloseReason::kServerStop; });
    }
    server->stop_now();
    EXPECT_EQ(stopped, 8);
    for (RawSocket& socket : sockets)
        EXPECT_TRUE(socket.is_closed_within(milliseconds(1000)));
    server.reset();
    for (const auto& exchange : held) {  // outlives the server
        EXPECT_FALSE(exchange->write("x"));
        exchange->respond({});
    }
}

}  // namespace
}  // namespace tenon::net
