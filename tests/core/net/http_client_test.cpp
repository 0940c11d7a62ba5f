#include "core/net/http_client.h"
#include "tests/core/net/scripted_peer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <future>

namespace tenon::net {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

const char kOk[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

std::unique_ptr<Client> make_client(ClientOptions options = {}) {
    Result<std::unique_ptr<Client>> client = Client::create(std::move(options));
    return client.ok() ? std::move(*client) : nullptr;
}

ClientRequest request_of(const ScriptedPeer& peer, std::string method = "GET",
                         std::string body = {}) {
    ClientRequest request;
    request.method = std::move(method);
    request.url = peer.url("/path?q");
    request.body = std::move(body);
    return request;
}

// One request in flight and what became of it.
struct Flight {
    std::atomic<int> status{0}, ends{0};
    std::atomic<size_t> bytes{0};
    std::string body;  // read after end
    std::promise<Status> promise;
    std::shared_ptr<ClientCall> call;

    ClientCallbacks callbacks() {
        ClientCallbacks made;
        made.on_head = [this](int code, const Headers&) { status = code; };
        made.on_body = [this](std::string_view piece) {
            body += piece;
            bytes += piece.size();
        };
        made.on_end = [this](Status end) {
            if (ends++ == 0) promise.set_value(std::move(end));
        };
        return made;
    }
    void start(Client& client, ClientRequest request) {
        call = client.start(std::move(request), callbacks());
    }
    Status wait() { return promise.get_future().get(); }
};

template <class Condition>
bool wait_until(Condition condition) {
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (Clock::now() > end) return false;
        std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
}

TEST(HttpClient, SendsTheHeadAndTheBody) {
    std::promise<std::string> seen;
    ScriptedPeer peer([&](PeerSocket& socket, int) {
        seen.set_value(socket.read_request());
        socket.write(kOk);
    });
    auto client = make_client();
    ClientRequest request = request_of(peer, "POST", "hello");
    request.headers.add("X-A", "b");
    request.headers.add("Host", "forged");
    request.headers.add("content-length", "99");
    request.headers.add("Transfer-Encoding", "chunked");
    const Result<HttpResponse> response = client->send(std::move(request));
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, 200);
    EXPECT_EQ(response->body, "ok");
    EXPECT_EQ(seen.get_future().get(),
              "POST /path?q HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(peer.port()) +
                  "\r\nX-A: b\r\nUser-Agent: tenon\r\nContent-Length: 5\r\n\r\nhello");
}

TEST(HttpClient, RefusesWhatCannotBeSent) {
    auto client = make_client();
    ClientRequest request;
    request.url = "nonsense";
    EXPECT_EQ(client->send(request).error().code, Code::kInvalid);
    request.url = "http://127.0.0.1:1/";
    request.method = "GET / HTTP/1.1\r\nX:";
    EXPECT_EQ(client->send(request).error().code, Code::kInvalid);
    request.method = "GET";
    request.headers.add("X", "a\r\nY: b");
    EXPECT_EQ(client->send(request).error().code, Code::kInvalid);
    ClientOptions options;
    options.io_threads = 0;
    EXPECT_EQ(Client::create(options).error().code, Code::kConfig);
    options.io_threads = 1;
    options.ca_file = "/nowhere/ca.pem";
    EXPECT_EQ(Client::create(options).error().code, Code::kConfig);
}

TEST(HttpClient, KeepsConnectionsAndItsLimitOfThem) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        while (!socket.read_request().empty())
            socket.write(kOk);
    });
    ClientOptions options;
    options.connections_per_origin = 3;
    auto client = make_client(options);
    for (int i = 0; i < 5; ++i)
        ASSERT_TRUE(client->send(request_of(peer)).ok());
    EXPECT_EQ(peer.accepted(), 1);
    std::vector<Flight> flights(50);
    for (Flight& flight : flights)
        flight.start(*client, request_of(peer, "POST", "x"));
    for (Flight& flight : flights)
        EXPECT_TRUE(flight.wait().ok());
    EXPECT_LE(peer.accepted(), 3);
}

TEST(HttpClient, DropsIdleConnections) {
    std::atomic<int> closed{0};
    ScriptedPeer peer([&](PeerSocket& socket, int) {
        while (!socket.read_request().empty())
            socket.write(kOk);
        ++closed;
    });
    ClientOptions options;
    options.idle_timeout = milliseconds(50);
    auto client = make_client(options);
    ASSERT_TRUE(client->send(request_of(peer)).ok());
    EXPECT_TRUE(wait_until([&] { return closed == 1; }));
    ASSERT_TRUE(client->send(request_of(peer)).ok());
    EXPECT_EQ(peer.accepted(), 2);
}

TEST(HttpClient, DoesNotReuseWhatThePeerWillCloseOrHasSpoiled) {
    for (const char* answer :
         {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokextra"}) {
        ScriptedPeer peer([&](PeerSocket& socket, int) {
            while (!socket.read_request().empty())
                socket.write(answer);
        });
        auto client = make_client();
        for (int i = 0; i < 3; ++i) {
            const Result<HttpResponse> response = client->send(request_of(peer));
            ASSERT_TRUE(response.ok());
            EXPECT_EQ(response->body, "ok");
        }
        EXPECT_EQ(peer.accepted(), 3);
    }
}

TEST(HttpClient, StreamsEveryFraming) {
    const std::string heads[] = {"Transfer-Encoding: chunked\r\n", "Content-Length: 8\r\n", ""};
    for (const std::string& head : heads) {
        ScriptedPeer peer([&](PeerSocket& socket, int) {
            socket.read_request();
            socket.write("HTTP/1.1 200 OK\r\n" + head + "\r\n");
            for (const char* piece : {"abcd", "efgh"})
                socket.write(head[0] == 'T' ? "4\r\n" + std::string(piece) + "\r\n" : piece);
            if (head[0] == 'T') socket.write("0\r\n\r\n");
            if (head.empty()) socket.close();
        });
        auto client = make_client();
        const Result<HttpResponse> response = client->send(request_of(peer));
        ASSERT_TRUE(response.ok()) << head << response.error().message;
        EXPECT_EQ(response->body, "abcdefgh");
    }
}

TEST(HttpClient, SaysWhenABodyWasCut) {
    for (const bool reset : {false, true}) {
        for (const char* text : {"Content-Length: 9\r\n\r\nabc",
                                 "Transfer-Encoding: chunked\r\n\r\n5\r\nab", "Content-Len"}) {
            ScriptedPeer peer([&](PeerSocket& socket, int) {
                socket.read_request();
                socket.write(std::string("HTTP/1.1 200 OK\r\n") + text);
                socket.close(reset);
            });
            auto client = make_client();
            const Result<HttpResponse> response = client->send(request_of(peer));
            ASSERT_FALSE(response.ok());
            // A reset may overtake the bytes before it.
            EXPECT_TRUE(response.error().code == Code::kData || reset) << response.error().message;
        }
    }
}

TEST(HttpClient, RefusesAnEndlessHeadAndALargeBody) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        socket.read_request();
        socket.write("HTTP/1.1 200 OK\r\nA: ");
        const std::string piece(1 << 16, 'x');
        for (int i = 0; i < 160 && socket.write(piece); ++i) {
        }
    });
    ClientOptions options;
    options.response_body_bytes = 1000;
    auto client = make_client(options);
    Result<HttpResponse> response = client->send(request_of(peer));
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().message, "malformed response: its head has more than 65536 bytes");
    ScriptedPeer large([](PeerSocket& socket, int) {
        socket.read_request();
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'));
    });
    response = client->send(request_of(large));
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().message, "the response has a body of more than 1000 bytes");
}

TEST(HttpClient, EachClockSaysItsName) {
    ScriptedPeer peer([](PeerSocket& socket, int number) {
        socket.read_request();
        if (number > 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
        socket.read_all();
    });
    auto client = make_client();
    ClientRequest first = request_of(peer);
    first.first_byte = milliseconds(30);
    Result<HttpResponse> response = client->send(first);
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, Code::kTimeout);
    EXPECT_EQ(response.error().message, "first-byte timeout: no answer within 30 ms");
    ClientRequest between = request_of(peer);
    between.first_byte = milliseconds(5000);
    between.between = milliseconds(30);
    response = client->send(between);
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().message,
              "between timeout: no further piece of the answer within 30 ms");
    ClientRequest total = request_of(peer);
    total.between = milliseconds(5000);
    total.timeout = milliseconds(40);
    response = client->send(total);
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().message, "total timeout: the answer was not complete within 40 ms");
}

TEST(HttpClient, TheConnectClockFires) {
    // TEST-NET-1 (RFC 5737) is not routed: no answer, or at once an unreachable network.
    ClientOptions options;
    options.connect_timeout = milliseconds(50);
    auto client = make_client(options);
    ClientRequest request;
    request.url = "http://192.0.2.1:9/";
    const Result<HttpResponse> response = client->send(request);
    ASSERT_FALSE(response.ok());
    if (response.error().code == Code::kTimeout) {
        EXPECT_EQ(response.error().message,
                  "connect timeout: no connection to 192.0.2.1:9 within 50 ms");
    } else {
        EXPECT_EQ(response.error().code, Code::kBusy);
    }
}

TEST(HttpClient, NobodyThere) {
    uint16_t port = 0;
    {
        port = ScriptedPeer([](PeerSocket&, int) {}).port();
    }
    auto client = make_client();
    ClientRequest request;
    request.url = "http://127.0.0.1:" + std::to_string(port) + "/";
    const Result<HttpResponse> response = client->send(request);
    ASSERT_FALSE(response.ok());
    EXPECT_EQ(response.error().code, Code::kBusy);
    EXPECT_EQ(response.error().message.rfind("cannot connect to 127.0.0.1:", 0), 0u);
}

TEST(HttpClient, ACancelledCallClosesItsConnection) {
    std::atomic<int> closed{0};
    ScriptedPeer peer([&](PeerSocket& socket, int number) {
        socket.read_request();
        if (number == 1) {
            socket.write(kOk);
            return;
        }
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
        socket.read_all();
        ++closed;
    });
    auto client = make_client();
    Flight flight;
    flight.start(*client, request_of(peer));
    ASSERT_TRUE(wait_until([&] { return flight.bytes == 3; }));
    flight.call->cancel();
    flight.call->cancel();
    const Status status = flight.wait();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code, Code::kCancelled);
    EXPECT_TRUE(wait_until([&] { return closed == 1; }));
    EXPECT_TRUE(client->send(request_of(peer)).ok());
    EXPECT_EQ(peer.accepted(), 2);
    EXPECT_EQ(flight.ends, 1);
    flight.call->cancel();  // after its end: nothing
}

// Cancels at every moment: each request ends once, and the client goes on.
TEST(HttpClient, CancelsAtAnyMoment) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        while (!socket.read_request().empty()) {
            socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for (int i = 0; i < 4; ++i)
                socket.write("3\r\nabc\r\n");
            socket.write("0\r\n\r\n");
        }
    });
    ClientOptions options;
    options.connections_per_origin = 4;
    options.io_threads = 2;
    auto client = make_client(options);
    std::deque<Flight> flights;
    for (int i = 0; i < 300; ++i) {
        Flight& flight = flights.emplace_back();
        flight.start(*client, request_of(peer, "POST", "body"));
        if (i % 3 == 0) std::this_thread::sleep_for(std::chrono::microseconds(i));
        if (i % 3 != 2) flight.call->cancel();
    }
    for (int i = 0; i < 300; ++i) {
        Flight& flight = flights[static_cast<size_t>(i)];
        const Status status = flight.wait();
        if (i % 3 == 2) {
            EXPECT_TRUE(status.ok());
        }
        if (status.ok()) {
            EXPECT_EQ(flight.body, "abcabcabcabc");
        }
    }
    client.reset();
    for (const Flight& flight : flights)
        EXPECT_EQ(flight.ends, 1);
}

TEST(HttpClient, DestructionCancelsWhatRuns) {
    ScriptedPeer peer([](PeerSocket& socket, int) { socket.read_all(); });
    std::deque<Flight> flights(5);
    ClientOptions options;
    options.connections_per_origin = 2;
    auto client = make_client(options);
    for (Flight& flight : flights)
        flight.start(*client, request_of(peer));
    ASSERT_TRUE(wait_until([&] { return peer.accepted() == 2; }));
    client.reset();
    for (Flight& flight : flights) {
        EXPECT_EQ(flight.ends, 1);
        EXPECT_EQ(flight.wait().error().code, Code::kCancelled);
        flight.call->cancel();
        flight.call->pause(false);
    }
}

TEST(HttpClient, ADeadPooledConnectionIsReplaced) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        socket.read_request();
        socket.write(kOk);
        socket.close();
    });
    auto client = make_client();
    for (int i = 0; i < 20; ++i) {
        const Result<HttpResponse> response =
            client->send(request_of(peer, i % 2 == 0 ? "GET" : "POST", "body"));
        ASSERT_TRUE(response.ok()) << i << response.error().message;
    }
    EXPECT_EQ(peer.accepted(), 20);
}

// The peer reads the second request of a connection and closes: it may have done what was asked.
TEST(HttpClient, WhatMayHaveBeenDoneIsNotDoneAgain) {
    std::atomic<int> requests{0};
    ScriptedPeer peer([&](PeerSocket& socket, int) {
        socket.read_request();
        ++requests;
        socket.write(kOk);
        if (socket.read_request().empty()) return;
        ++requests;
        socket.close();
    });
    auto client = make_client();
    ASSERT_TRUE(client->send(request_of(peer)).ok());
    const Result<HttpResponse> post = client->send(request_of(peer, "POST", "x"));
    ASSERT_FALSE(post.ok());
    EXPECT_EQ(post.error().code, Code::kBusy);
    EXPECT_EQ(requests, 2);
    ASSERT_TRUE(client->send(request_of(peer)).ok());
    EXPECT_TRUE(client->send(request_of(peer)).ok());  // a GET may be
    EXPECT_EQ(requests, 5);
    ClientRequest repeatable = request_of(peer, "POST", "x");
    repeatable.is_repeatable = true;
    EXPECT_TRUE(client->send(repeatable).ok());
    EXPECT_EQ(requests, 7);
}

TEST(HttpClient, AFreshConnectionIsNotRetried) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        socket.read_request();
        socket.close();
    });
    auto client = make_client();
    EXPECT_EQ(client->send(request_of(peer)).error().code, Code::kBusy);
    EXPECT_EQ(peer.accepted(), 1);
}

TEST(HttpClient, TakesAnAnswerThatComesBeforeTheBodyWasSent) {
    ScriptedPeer peer([](PeerSocket& socket, int number) {
        if (number == 0) {
            socket.write("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
            std::this_thread::sleep_for(milliseconds(20));
        } else if (!socket.read_request().empty()) {
            socket.write(kOk);
        }
    });
    auto client = make_client();
    const Result<HttpResponse> response =
        client->send(request_of(peer, "POST", std::string(32 << 20, 'x')));
    ASSERT_TRUE(response.ok()) << response.error().message;
    EXPECT_EQ(response->status, 413);
    EXPECT_TRUE(client->send(request_of(peer)).ok());
    EXPECT_EQ(peer.accepted(), 2);  // the half-sent request spoiled the first
}

TEST(HttpClient, APauseHoldsThePeerBack) {
    std::atomic<size_t> sent{0};
    constexpr size_t kTotal = 64 << 20;
    ScriptedPeer peer([&](PeerSocket& socket, int) {
        socket.read_request();
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kTotal) + "\r\n\r\n");
        const std::string piece(1 << 16, 'x');
        while (sent < kTotal && socket.write(piece))
            sent += piece.size();
    });
    auto client = make_client();
    Flight flight;
    ClientRequest request = request_of(peer);
    request.between = milliseconds(100);  // does not count while paused
    ClientCallbacks callbacks = flight.callbacks();
    std::promise<std::shared_ptr<ClientCall>> call;
    callbacks.on_head = [&, shared = call.get_future().share()](int, const Headers&) {
        shared.get()->pause(true);
    };
    callbacks.on_body = [&](std::string_view piece) { flight.bytes += piece.size(); };
    flight.call = client->start(std::move(request), std::move(callbacks));
    call.set_value(flight.call);
    std::this_thread::sleep_for(milliseconds(250));
    EXPECT_EQ(flight.bytes, 0u);
    EXPECT_LT(sent, kTotal / 2);
    EXPECT_EQ(flight.ends, 0);
    flight.call->pause(false);
    EXPECT_TRUE(flight.wait().ok());
    EXPECT_EQ(flight.bytes, kTotal);
}

TEST(HttpClient, ACallMayBeStartedFromACallback) {
    ScriptedPeer peer([](PeerSocket& socket, int) {
        while (!socket.read_request().empty())
            socket.write(kOk);
    });
    auto client = make_client();
    std::promise<Status> done;
    std::function<void(int)> chain = [&](int left) {
        ClientCallbacks callbacks;
        callbacks.on_end = [&, left](Status status) {
            if (left == 0 || !status.ok()) {
                done.set_value(std::move(status));
            } else {
                chain(left - 1);
            }
        };
        client->start(request_of(peer), std::move(callbacks));
    };
    chain(20);
    EXPECT_TRUE(done.get_future().get().ok());
    EXPECT_EQ(peer.accepted(), 1);
}

}  // namespace
}  // namespace tenon::net
