#include "tests/core/engine/link_fixture.h"

#include <algorithm>
#include <csignal>
#include <iostream>
#include <random>

namespace tenon::engine {
namespace {

// Every way in which an engine may end, with a neighbour that streams and one that does not.
struct End {
    Act act;
    const char* why;
};
class LinkEnds : public Link, public ::testing::WithParamInterface<End> {};

TEST_P(LinkEnds, NeighboursAreReplayedOrEndedAndTheCulpritIsNamed) {
    options_.stall_unready_ms = 200;
    options_.stall_abort_ms = 500;
    start();
    ASSERT_NE(ready(), 0);
    const GenerationRequest streamed = request(scripted::kAnswer, 1'000'000);
    const auto streaming = submit(streamed, true);
    const GenerationRequest asked = request(scripted::kAnswer, 300);
    const auto neighbour = submit(asked);
    ASSERT_TRUE(
        eventually([&] { return streaming->text().size() > 50 && neighbour->text().size() > 50; }));
    const auto culprit = submit(GetParam().act);
    EXPECT_TRUE(streaming->ended_with(Code::kDeviceLost));
    EXPECT_NE(streaming->finish().error->message.find(GetParam().why), std::string::npos)
        << streaming->finish().error->message;
    EXPECT_TRUE(culprit->ended_with(Code::kInternal));
    EXPECT_EQ(culprit->finish().error->message.rfind("poison_request", 0), 0u);
    ASSERT_TRUE(neighbour->wait());
    EXPECT_EQ(neighbour->text(), scripted::answer(asked));
    EXPECT_GE(neighbour->losses(), 1);
    const auto next = submit(scripted::kAnswer);
    ASSERT_TRUE(next->wait());
    EXPECT_EQ(next->finish().reason, FinishReason::kLength);
    EXPECT_GE(link_->stats().restarts, 2u);
    EXPECT_TRUE(eventually([&] { return link_->stats().is_ready; }));
    for (const auto& outcome : {streaming, culprit, neighbour}) {
        EXPECT_EQ(outcome->finishes(), 1);
        EXPECT_EQ(outcome->late(), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, LinkEnds,
    ::testing::Values(End{scripted::kAbort, "signal 6"}, End{scripted::kFault, "signal 11"},
                      End{scripted::kHang, "no progress for 500 ms"},
                      End{scripted::kGarbage, "not a message"}, End{scripted::kExit, "exit code 3"},
                      End{scripted::kLoseDevice, "the scripted device is lost"},
                      End{scripted::kKillItself, "signal 9"},
                      End{scripted::kHangUp, "exit code 0"}),
    [](const auto& end) { return "Act" + std::to_string(end.param.act); });

TEST_F(Link, ALateCrashOfARequestDoesNotReplayItForEver) {
    start();
    const auto outcome = submit(scripted::kAbortAt, 100, 20);
    EXPECT_TRUE(outcome->ended_with(Code::kDeviceLost));
    EXPECT_EQ(outcome->losses(), 7);
    EXPECT_TRUE(submit(scripted::kAnswer)->wait());
}

// The promise of the whole: whatever kills the engine and whenever, each request has one outcome,
// and an answer that is given is the right one.
TEST_F(Link, AHundredDeathsUnderLoad) {
    start();
    struct Entry {
        GenerationRequest request;
        std::shared_ptr<Outcome> outcome;
        bool is_streaming;
    };
    std::mutex mutex;
    std::vector<Entry> ledger;
    std::atomic<bool> is_over{false};
    const auto client = [&](uint32_t seed) {
        std::mt19937 random(seed);
        while (!is_over) {
            Entry entry{request(scripted::kAnswer, 1 + random() % 30), nullptr, random() % 2 == 0};
            entry.outcome = submit(entry.request, entry.is_streaming);
            {
                const std::lock_guard lock(mutex);
                ledger.push_back(entry);
            }
            if (random() % 10 == 0) link_->cancel(entry.request.id);
            ASSERT_TRUE(entry.outcome->wait()) << "request " << entry.request.id;
        }
    };
    std::vector<std::thread> clients;
    for (uint32_t seed = 0; seed < 8; ++seed)
        clients.emplace_back(client, seed);
    std::mt19937 random(1);
    uint64_t slowest_ms = 0;
    for (int death = 1; death <= 100; ++death) {
        const pid_t child = ready(death);
        ASSERT_NE(child, 0);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
        const auto begun = std::chrono::steady_clock::now();
        kill(child, random() % 2 == 0 ? SIGKILL : SIGSEGV);
        ASSERT_NE(ready(death + 1), 0);
        slowest_ms = std::max<uint64_t>(
            slowest_ms, static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(
                                                  std::chrono::steady_clock::now() - begun)
                                                  .count()));
    }
    is_over = true;
    for (std::thread& thread : clients)
        thread.join();
    size_t whole = 0, cancelled = 0, lost = 0, poison = 0;
    for (const Entry& entry : ledger) {
        EXPECT_EQ(entry.outcome->finishes(), 1);
        EXPECT_EQ(entry.outcome->late(), 0);
        const Finish finish = entry.outcome->finish();
        if (finish.reason == FinishReason::kLength) {
            EXPECT_EQ(entry.outcome->text(), scripted::answer(entry.request));
            ++whole;
        } else if (finish.reason == FinishReason::kCancelled) {
            ++cancelled;
        } else {
            ASSERT_TRUE(finish.error.has_value());
            if (finish.error->code == Code::kInternal) {
                ++poison;
            } else {
                EXPECT_EQ(finish.error->code, Code::kDeviceLost);
                ++lost;
            }
        }
    }
    RecordProperty("requests", static_cast<int>(ledger.size()));
    RecordProperty("slowest_restart_ms", static_cast<int>(slowest_ms));
    std::cout << ledger.size() << " requests: " << whole << " whole, " << cancelled
              << " cancelled, " << lost << " lost, " << poison
              << " taken for poison; slowest restart " << slowest_ms << " ms\n";
    EXPECT_GT(whole, 100u);
    EXPECT_LT(lost + poison, 800u);
    EXPECT_LT(slowest_ms, 3'000u);
    EXPECT_EQ(link_->stats().restarts, 100u);
}

}  // namespace
}  // namespace tenon::engine
