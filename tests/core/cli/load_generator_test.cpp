#include "core/cli/load_generator.h"
#include "core/cli/load_report.h"
#include "tests/core/net/scripted_peer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

namespace tenon::cli {
namespace {

using std::chrono::milliseconds;

const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n";

std::string chunk(const std::string& text) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    return size + text + "\r\n";
}

// Three pieces of text, `gap` apart, the first `gap` after the request.
void answer(net::PeerSocket& socket, milliseconds gap, const std::string& header = "") {
    socket.write(kStreamHead + header + "\r\n");
    for (int i = 0; i < 3; ++i) {
        std::this_thread::sleep_for(gap);
        socket.write(chunk("data: {\"choices\":[{\"text\":\"a\"}]}\n\n"));
    }
    socket.write(chunk("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":4,"
                       "\"completion_tokens\":3}}\n\ndata: [DONE]\n\n") +
                 "0\r\n\r\n");
}

std::unique_ptr<net::Client> make_client(uint32_t connections) {
    net::ClientOptions options;
    options.connections_per_origin = connections;
    Result<std::unique_ptr<net::Client>> client = net::Client::create(options);
    return client.ok() ? std::move(*client) : nullptr;
}

std::function<net::ClientRequest(uint32_t)> requests_to(const net::ScriptedPeer& peer) {
    return [url = peer.url("/v1/completions")](uint32_t) {
        net::ClientRequest request;
        request.method = "POST";
        request.url = url;
        return request;
    };
}

TEST(LoadGenerator, AClosedLoopKeepsItsConcurrency) {
    std::atomic<int> running{0}, most{0};
    net::ScriptedPeer peer([&](net::PeerSocket& socket, int) {
        while (!socket.read_request().empty()) {
            const int now = ++running;
            int seen = most;
            while (seen < now && !most.compare_exchange_weak(seen, now)) {
            }
            std::this_thread::sleep_for(milliseconds(10));
            --running;
            answer(socket, milliseconds(0));
        }
    });
    const auto client = make_client(4);
    LoadSchedule schedule;
    schedule.requests = 20;
    schedule.concurrency = 4;
    uint64_t shown = 0;
    const LoadResult result =
        run_load(*client, schedule, requests_to(peer), nullptr, [&](uint64_t done, uint64_t total) {
            EXPECT_GE(done, shown);
            EXPECT_EQ(total, 20u);
            shown = done;
        });
    EXPECT_EQ(result.records.size(), 20u);
    EXPECT_EQ(result.in_flight_max, 4u);
    EXPECT_EQ(most, 4);
    EXPECT_FALSE(result.interrupted);
    const LoadSummary summary = summarize(result, {});
    EXPECT_EQ(summary.completed, 20u);
    EXPECT_EQ(summary.output_tokens, 60u);
    EXPECT_GE(result.seconds, 0.05);
}

TEST(LoadGenerator, MeasuresWhatThePeerDoes) {
    net::ScriptedPeer peer([](net::PeerSocket& socket, int) {
        while (!socket.read_request().empty())
            answer(socket, milliseconds(20));
    });
    const auto client = make_client(1);
    LoadSchedule schedule;
    schedule.requests = 3;
    const LoadSummary summary =
        summarize(run_load(*client, schedule, requests_to(peer), nullptr, {}), {});
    EXPECT_EQ(summary.completed, 3u);
    EXPECT_EQ(summary.inter_token.count, 6u);
    EXPECT_GE(summary.ttft.p50, 20);
    EXPECT_GT(summary.inter_token.mean, 0);
    EXPECT_GE(summary.e2e.p50, 60);
    EXPECT_LT(summary.ttft.p50, summary.e2e.p50);
}

TEST(LoadGenerator, CountsErrorsByKind) {
    net::ScriptedPeer peer([](net::PeerSocket& socket, int number) {
        socket.read_request();
        if (number % 4 == 0) answer(socket, milliseconds(0), "Connection: close\r\n");
        if (number % 4 == 1) {
            socket.write("HTTP/1.1 429 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlate");
        }
        if (number % 4 == 2) socket.write(kStreamHead + "\r\nff\r\nhalf");
        socket.close();
    });
    const auto client = make_client(1);
    LoadSchedule schedule;
    schedule.requests = 8;
    const LoadSummary summary =
        summarize(run_load(*client, schedule, requests_to(peer), nullptr, {}), {});
    EXPECT_EQ(summary.completed, 2u);
    EXPECT_EQ(summary.failed, 6u);
    ASSERT_EQ(summary.errors.size(), 3u);
    std::string kinds;
    for (const LoadSummary::ErrorCount& error : summary.errors) {
        kinds += error.kind + ";";
        EXPECT_EQ(error.count, 2u);
        if (error.kind == "http 429") {
            EXPECT_EQ(error.example, "late");
        }
    }
    EXPECT_EQ(kinds, "connection;cut;http 429;");
}

TEST(LoadGenerator, ArrivalsArePoissonBySeed) {
    LoadSchedule schedule;
    schedule.requests = 20'000;
    schedule.rate = 50;
    const std::vector<double> times = arrival_times(schedule);
    EXPECT_EQ(times, arrival_times(schedule));
    EXPECT_EQ(times.front(), 0);
    EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
    EXPECT_NEAR(times.back() / 20'000, 0.02, 0.0005);
    std::vector<double> gaps;
    for (size_t i = 1; i < times.size(); ++i)
        gaps.push_back(times[i] - times[i - 1]);
    const Quantiles q = quantiles(gaps);
    EXPECT_NEAR(q.p50, 0.02 * 0.6931, 0.001);  // ln 2
    EXPECT_NEAR(q.p95, 0.02 * 2.9957, 0.005);  // ln 20
    schedule.seed = 2;
    EXPECT_NE(times, arrival_times(schedule));
    schedule.rate = 0;
    EXPECT_TRUE(arrival_times(schedule).empty());
}

// A server that answers nobody for 400 ms gets its requests all the same, and their wait counts.
TEST(LoadGenerator, AnOpenLoopKeepsItsRateThoughTheServerIsSlow) {
    const auto start = std::chrono::steady_clock::now();
    std::atomic<int> early{0};
    net::ScriptedPeer peer([&](net::PeerSocket& socket, int) {
        if (socket.read_request().empty()) return;
        const auto open = start + milliseconds(400);
        if (std::chrono::steady_clock::now() < open) ++early;
        std::this_thread::sleep_until(open);
        answer(socket, milliseconds(0));
    });
    const auto client = make_client(64);
    LoadSchedule schedule;
    schedule.requests = 40;
    schedule.rate = 200;
    const double last = arrival_times(schedule).back();
    const LoadResult result = run_load(*client, schedule, requests_to(peer), nullptr, {});
    const LoadSummary summary = summarize(result, {});
    EXPECT_EQ(summary.completed, 40u);
    ASSERT_LT(last, 0.35);
    EXPECT_GE(early, 30);
    EXPECT_GE(result.in_flight_max, 30u);
    EXPECT_GE(summary.ttft.max, 300);
}

TEST(LoadGenerator, AnInterruptEndsIt) {
    net::ScriptedPeer peer([](net::PeerSocket& socket, int number) {
        socket.read_request();
        if (number == 0) answer(socket, milliseconds(0));
        socket.read_all();
    });
    const auto client = make_client(8);
    for (const double rate : {0.0, 1000.0}) {
        LoadSchedule schedule;
        schedule.requests = 1000;
        schedule.concurrency = 3;
        schedule.rate = rate;
        uint32_t cancel = 0;
        std::thread finger([&] {
            std::this_thread::sleep_for(milliseconds(60));
            __atomic_store_n(&cancel, 1u, __ATOMIC_RELAXED);
        });
        const LoadResult result = run_load(*client, schedule, requests_to(peer), &cancel, {});
        finger.join();
        EXPECT_TRUE(result.interrupted);
        const LoadSummary summary = summarize(result, {});
        EXPECT_LE(summary.completed, 1u);
        EXPECT_GE(summary.cancelled, 3u);
        EXPECT_EQ(summary.failed, 0u);
        EXPECT_LT(result.seconds, 5);
    }
}

}  // namespace
}  // namespace tenon::cli
