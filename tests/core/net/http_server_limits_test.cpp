// Every limit and clock of a connection, crossed once, and what else goes on meanwhile.
#include "core/net/http_server.h"
#include "tests/core/net/server_fixture.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class HttpServerLimits : public ServerTest {
protected:
    double ms_since(steady_clock::time_point begin) const {
        return std::chrono::duration<double, std::milli>(steady_clock::now() - begin).count();
    }
    std::string chunked(std::string_view body) const {
        std::string bytes = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        return bytes.append(body);
    }
};

TEST_F(HttpServerLimits, RefusesWhileReading) {
    start();
    struct Case {
        std::string bytes;
        int status;
    };
    const std::vector<Case> cases = {
        {"GET /" + std::string(9000, 'a'), 414},
        {"GET / HTTP/1.1\r\nA: " + std::string(9000, 'a'), 431},
        {[] {
             std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n";
             for (int i = 0; i < 10; ++i)
                 bytes += "A: " + std::string(4000, 'a') + "\r\n";
             return bytes;
         }(),
         431},
        {[] {
             std::string bytes = "GET / HTTP/1.1\r\nHost: h\r\n";
             for (int i = 0; i < 101; ++i)
                 bytes += "A: b\r\n";
             return bytes;
         }(),
         431},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 8388609\r\n\r\n", 413},
        {chunked("800001\r\n"), 413},
        {chunked("-2\r\n"), 400},
        {chunked("123456789\r\n"), 400},
        {chunked("1;" + std::string(300, 'x')), 400},
        {[&] {
             std::string bytes;
             for (int i = 0; i < 16'385; ++i)
                 bytes += "1\r\nx\r\n";
             return chunked(bytes);
         }(),
         400},
        {chunked("0\r\nA: " + std::string(4097, 'x')), 431},
        {"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Encoding: gzip\r\n\r\n", 415},
        {"GET / HTTP/1.1\r\n\r\n", 400},
    };
    for (const Case& one : cases) {
        RawSocket socket = connect();
        socket.send(one.bytes);
        const RawResponse got = socket.read_response();
        EXPECT_EQ(got.status, one.status) << one.bytes.substr(0, 80) << "\n" << got.body;
        EXPECT_EQ(got.header("Connection"), "close");
        EXPECT_TRUE(socket.is_closed_within(milliseconds(1000)));
    }
    EXPECT_EQ(server->stats().client_errors, cases.size());
    for (const TestHandler::Seen& seen : handler.accesses(cases.size())) {
        EXPECT_FALSE(seen.closed.has_value());
    }
}

TEST_F(HttpServerLimits, NothingBehindASmuggledHeadIsRead) {
    std::atomic<int> requests = 0;
    handler.request = [&](std::shared_ptr<Exchange> exchange) {
        ++requests;
        exchange->respond({});
    };
    start();
    RawSocket socket = connect();
    socket.send(
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        "0\r\n\r\n" +
        get("/smuggled"));
    EXPECT_EQ(socket.read_response().status, 400);
    EXPECT_EQ(socket.read_to_end(), "");
    EXPECT_EQ(requests, 0);
}

TEST_F(HttpServerLimits, ForeignHostsAre421) {
    options.allowed_hosts = {"api.example.org", "localhost"};
    start();
    const auto status = [&](const std::string& host) {
        return ask("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n").status;
    };
    EXPECT_EQ(status("API.example.org"), 200);
    EXPECT_EQ(status("localhost:30000"), 200);
    EXPECT_EQ(status("evil.example.org"), 421);
    EXPECT_EQ(status("api.example.org.evil"), 421);
    EXPECT_EQ(ask("GET / HTTP/1.0\r\n\r\n").status, 421);
}

TEST_F(HttpServerLimits, SlowHeadersAre408) {
    options.limits.header_ms = 200;
    start();
    const auto begin = steady_clock::now();
    RawSocket slow = connect(), silent = connect();
    for (const char* piece : {"GET", " /", " HT"}) {
        slow.send(piece);
        std::this_thread::sleep_for(milliseconds(50));
    }
    const RawResponse got = slow.read_response();
    EXPECT_EQ(got.status, 408);
    EXPECT_NE(got.body.find("header_ms"), std::string::npos) << got.body;
    EXPECT_GE(ms_since(begin), 190);
    EXPECT_LT(ms_since(begin), 2000);
    EXPECT_TRUE(silent.is_closed_within(milliseconds(2000)));
    EXPECT_EQ(handler.accesses(1).at(0).status, 408);
    EXPECT_EQ(server->stats().timeouts, 1u);
}

TEST_F(HttpServerLimits, TheHeaderClockOfALaterRequestStartsAtItsFirstByte) {
    options.limits.header_ms = 250;
    start();
    RawSocket socket = connect();
    socket.send(get("/"));
    EXPECT_EQ(socket.read_response().status, 200);
    std::this_thread::sleep_for(milliseconds(300));
    socket.send(get("/"));
    EXPECT_EQ(socket.read_response().status, 200);
    socket.send("GET /");
    EXPECT_EQ(socket.read_response().status, 408);
}

TEST_F(HttpServerLimits, SlowBodiesAre408) {
    options.limits.body_gap_ms = 150;
    options.limits.body_total_ms = 1'200;  // the rate counts after a twelfth
    options.limits.body_rate_bytes = 1'000;
    start();
    const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n";
    RawSocket gap = connect(), rate = connect();
    gap.send(head + std::string(5'000, 'x'));  // 5 s worth of bytes, then nothing
    rate.send(head);
    std::thread dripper([&] {
        for (int i = 0; i < 20 && rate.send("x"); ++i)
            std::this_thread::sleep_for(milliseconds(30));
    });
    RawResponse got = gap.read_response();
    EXPECT_EQ(got.status, 408);
    EXPECT_NE(got.body.find("body_gap_ms"), std::string::npos) << got.body;
    got = rate.read_response();
    EXPECT_EQ(got.status, 408);
    EXPECT_NE(got.body.find("body_rate_bytes"), std::string::npos) << got.body;
    dripper.join();
}

TEST_F(HttpServerLimits, ABodyHasATotalTime) {
    options.limits.body_total_ms = 300;
    options.limits.body_rate_bytes = 1;
    start();
    RawSocket socket = connect();
    socket.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    std::thread dripper([&] {
        for (int i = 0; i < 30 && socket.send("xxxxx"); ++i) {
            std::this_thread::sleep_for(milliseconds(20));
        }
    });
    const RawResponse got = socket.read_response();
    EXPECT_EQ(got.status, 408);
    EXPECT_NE(got.body.find("body_total_ms"), std::string::npos) << got.body;
    dripper.join();
}

TEST_F(HttpServerLimits, IdleConnectionsEnd) {
    options.limits.keep_alive_ms = 150;
    start();
    RawSocket socket = connect();
    socket.send(get("/"));
    EXPECT_EQ(socket.read_response().status, 200);
    EXPECT_FALSE(socket.is_closed_within(milliseconds(50)));
    EXPECT_TRUE(socket.is_closed_within(milliseconds(2000)));
}

TEST_F(HttpServerLimits, AClientThatReadsNothingIsCut) {
    options.limits.write_stall_ms = 200;
    start();
    RawSocket socket(server->port(), {}, 4096);
    socket.send(get("/hold"));
    const std::shared_ptr<Exchange> held = handler.take_held();
    ASSERT_TRUE(held);
    std::atomic<int> reason = -1;
    held->on_close([&](CloseReason why) { reason = static_cast<int>(why); });
    held->begin(200, {});
    held->write(std::string(8 << 20, 'x'));
    EXPECT_TRUE(eventually([&] { return reason >= 0; }));
    EXPECT_EQ(reason, static_cast<int>(CloseReason::kWriteStall));
    EXPECT_FALSE(held->write("x"));
    EXPECT_EQ(handler.accesses(1).at(0).closed, CloseReason::kWriteStall);
}

TEST_F(HttpServerLimits, ConnectionsOfOneAddressAreCounted) {
    options.limits.connections_per_ip = 2;
    start();
    RawSocket one = connect(), two = connect();
    one.send(get("/"));
    EXPECT_EQ(one.read_response().status, 200);
    RawSocket three = connect();
    const RawResponse refused = three.read_response();
    EXPECT_EQ(refused.status, 429);
    EXPECT_EQ(refused.header("Retry-After"), "1");
    RawSocket other = connect("127.0.0.2");
    other.send(get("/"));
    EXPECT_EQ(other.read_response().status, 200);
    one.close();
    EXPECT_TRUE(eventually([&] { return server->stats().connections == 2; }));
    EXPECT_EQ(ask(get("/")).status, 200);
    EXPECT_EQ(server->stats().refused, 1u);
}

TEST_F(HttpServerLimits, ConnectionsAreCounted) {
    options.limits.connections = 2;
    start();
    RawSocket one = connect(), two = connect();
    two.send(get("/"));
    EXPECT_EQ(two.read_response().status, 200);
    EXPECT_EQ(connect().read_response().status, 503);
    one.close();
    EXPECT_TRUE(eventually([&] { return server->stats().connections == 1; }));
    EXPECT_EQ(ask(get("/")).status, 200);
}

TEST_F(HttpServerLimits, WithoutDescriptorsAnswers503AndRecovers) {
    start();
    RawSocket warm = connect();
    warm.send(get("/"));
    EXPECT_EQ(warm.read_response().status, 200);
    RawSocket late = connect();  // its descriptor here is made while there are some
    late.send(get("/"));
    EXPECT_EQ(late.read_response().status, 200);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    const int lowest = dup(0);
    close(lowest);
    // Exactly one descriptor is left: the client's. The server finds none.
    rlimit low = before;
    low.rlim_cur = static_cast<rlim_t>(lowest) + 1;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
    RawSocket refused = connect();
    const RawResponse got = refused.read_response();
    late.send(get("/"));
    const RawResponse meanwhile = late.read_response();
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_EQ(got.status, 503);
    EXPECT_EQ(meanwhile.status, 200);
    EXPECT_EQ(ask(get("/")).status, 200);
}

TEST_F(HttpServerLimits, FiveHundredSlowConnectionsDisturbNobody) {
    options.limits.connections_per_ip = 1000;
    start();
    std::vector<RawSocket> slow;
    for (int i = 0; i < 500; ++i) {
        slow.push_back(connect());
        if (slow.back().fd() < 0) GTEST_SKIP() << "no 500 descriptors for clients on this machine";
        slow.back().send(i % 2 == 0 ? "GET / HT" : "");
    }
    ASSERT_TRUE(eventually([&] { return server->stats().connections == 500; }));
    RawSocket normal = connect();
    std::vector<double> times;
    for (int i = 0; i < 50; ++i) {
        const auto begin = steady_clock::now();
        normal.send(get("/"));
        ASSERT_EQ(normal.read_response().status, 200);
        times.push_back(ms_since(begin));
    }
    std::sort(times.begin(), times.end());
    EXPECT_LT(times[25], 20);
}

TEST_F(HttpServerLimits, DeadPeersAreProbed) {
    // A cable cannot be pulled here: the options that find it out within 35 s are looked at instead.
    start();
    RawSocket socket = connect();
    socket.send(get("/"));
    EXPECT_EQ(socket.read_response().status, 200);
    // The accepted socket: the descriptor of this process whose peer is ours.
    sockaddr_in ours{};
    socklen_t size = sizeof(ours);
    getsockname(socket.fd(), reinterpret_cast<sockaddr*>(&ours), &size);
    int accepted = -1;
    for (int fd = 3; fd < 1024 && accepted < 0; ++fd) {
        sockaddr_in peer{};
        size = sizeof(peer);
        if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
            peer.sin_family == AF_INET && peer.sin_port == ours.sin_port) {
            accepted = fd;
        }
    }
    ASSERT_GE(accepted, 0);
    const auto option = [&](int level, int name) {
        int value = 0;
        socklen_t length = sizeof(value);
        getsockopt(accepted, level, name, &value, &length);
        return value;
    };
    EXPECT_EQ(option(SOL_SOCKET, SO_KEEPALIVE), 1);
    EXPECT_LE(option(IPPROTO_TCP, TCP_KEEPIDLE) +
                  option(IPPROTO_TCP, TCP_KEEPINTVL) * option(IPPROTO_TCP, TCP_KEEPCNT),
              35);
    EXPECT_LE(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 35'000);
}

}  // namespace
}  // namespace tenon::net
