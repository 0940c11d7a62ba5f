#include "core/server/admission.h"

#include "tests/core/server/fake_exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace tenon::server {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The door with a clock that a test moves.
class AdmissionTest : public ::testing::Test {
protected:
    void open() {
        options.now = [this] { return now; };
        options.seed = 7;
        options.on_refusal = [this](const char* reason) { reasons.emplace_back(reason); };
        door = make_admission(options);
    }
    std::unique_ptr<Ticket> ask(uint64_t tokens = 1, const std::string& key = "",
                                const std::string& address = "10.0.0.1", size_t bytes = 10) {
        auto exchange = std::make_shared<server::testing::FakeExchange>("POST", "/v1/completions",
                                                                        std::string(bytes, 'x'));
        exchange->edit().client = address;
        RequestContext request;
        request.exchange = exchange;
        request.caller.key_id = key;
        request.caller.key_number = key.empty() ? 0 : 1;
        return door->admit(request, 1, tokens, refusal);
    }
    AdmissionOptions options;
    Clock::time_point now{seconds(1'000)};
    std::unique_ptr<Admission> door;
    ApiError refusal;
    std::vector<std::string> reasons;
};

TEST_F(AdmissionTest, AFullQueueIsSeenBeforeABodyIsRead) {
    options.limits.queue_requests = 1;
    options.limits.queue_bytes = 100;
    open();
    EXPECT_FALSE(door->refuse_early(1'000'000));  // alone it may be as large as a body may be
    auto first = ask();
    const auto full = door->refuse_early(10);
    ASSERT_TRUE(full);
    EXPECT_EQ(full->status, 503);
    EXPECT_EQ(full->code, "queue_full");
    EXPECT_TRUE(full->retry_after_s);
    EXPECT_EQ(reasons, std::vector<std::string>{"queue_requests"});
    EXPECT_EQ(door->in_flight(), 1u) << "a look takes no place";
    first->on_scheduled();
    EXPECT_FALSE(door->refuse_early(10));
    door->close();
    EXPECT_EQ(door->refuse_early(10).value().code, "shutting_down");
}

TEST_F(AdmissionTest, AFullQueueIs503UntilSomebodyLeavesIt) {
    options.limits.queue_requests = 2;
    open();
    auto first = ask(), second = ask();
    ASSERT_TRUE(first && second);
    EXPECT_FALSE(ask());
    EXPECT_EQ(refusal.status, 503);
    EXPECT_EQ(refusal.code, "queue_full");
    ASSERT_TRUE(refusal.retry_after_s);
    first->on_scheduled();
    EXPECT_EQ(door->waiting(), 1u);
    EXPECT_EQ(door->in_flight(), 2u);
    auto third = ask();
    EXPECT_TRUE(third);
    // Cancelled in the queue: its place is free again.
    second.reset();
    EXPECT_TRUE(ask());
    EXPECT_EQ(reasons, (std::vector<std::string>{"queue_requests"}));
}

TEST_F(AdmissionTest, BytesOfWhatWaitsAreBounded) {
    options.limits.queue_bytes = 100;
    open();
    // One alone may be of any size that the body limit lets through.
    auto big = ask(1, "", "10.0.0.1", 500);
    ASSERT_TRUE(big);
    EXPECT_FALSE(ask());
    EXPECT_EQ(reasons.back(), "queue_bytes");
    big->on_scheduled();
    EXPECT_TRUE(ask());
}

TEST_F(AdmissionTest, RetryAfterFollowsTheMeasuredDrain) {
    options.limits.queue_requests = 100;
    options.limits.queue_wait_ms = 1'000'000;
    open();
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (int i = 0; i < 100; ++i)
        tickets.push_back(ask());
    for (int i = 0; i < 20; ++i) {
        now += milliseconds(500);  // two a second leave
        tickets[static_cast<size_t>(i)]->on_scheduled();
        tickets.push_back(ask());
        ASSERT_TRUE(tickets.back());
    }
    EXPECT_FALSE(ask());
    // 101 in front at two a second: 50 s, plus up to half of it as spread, at most 60.
    EXPECT_GE(*refusal.retry_after_s, 50);
    EXPECT_LE(*refusal.retry_after_s, 60);
}

TEST_F(AdmissionTest, RefusesAtOnceWhatWouldWaitInVain) {
    options.limits.queue_wait_ms = 5'000;
    open();
    std::vector<std::unique_ptr<Ticket>> tickets;
    for (int i = 0; i < 30; ++i)
        tickets.push_back(ask());
    for (int i = 0; i < 10; ++i) {
        now += seconds(1);
        tickets[static_cast<size_t>(i)]->on_scheduled();
    }
    EXPECT_FALSE(ask());  // 20 wait, one a second leaves
    EXPECT_EQ(reasons.back(), "queue_wait");
    EXPECT_EQ(refusal.status, 503);
    // An empty queue is not judged by its past.
    tickets.clear();
    EXPECT_TRUE(ask());
}

TEST_F(AdmissionTest, AKeysRatesAre429AndItsOwnAlone) {
    options.limits.key_requests_per_second = 1;
    options.limits.key_requests_burst = 2;
    open();
    EXPECT_TRUE(ask(1, "aaaa"));
    EXPECT_TRUE(ask(1, "aaaa"));
    EXPECT_FALSE(ask(1, "aaaa"));
    EXPECT_EQ(refusal.status, 429);
    EXPECT_EQ(refusal.code, "rate_limit_exceeded");
    EXPECT_GE(*refusal.retry_after_s, 1);
    EXPECT_EQ(reasons.back(), "key_requests");
    EXPECT_TRUE(ask(1, "bbbb"));
    now += seconds(1);
    EXPECT_TRUE(ask(1, "aaaa"));
}

TEST_F(AdmissionTest, OutputIsChargedAfterwards) {
    options.limits.key_tokens_per_minute = 600;
    open();
    auto ticket = ask(100, "aaaa");
    ASSERT_TRUE(ticket);
    ticket->charge_output(560);
    EXPECT_FALSE(ask(1, "aaaa"));  // 60 in debt at ten a second
    EXPECT_EQ(reasons.back(), "key_tokens");
    EXPECT_GE(*refusal.retry_after_s, 6);
    now += seconds(7);
    EXPECT_TRUE(ask(1, "aaaa"));
}

TEST_F(AdmissionTest, StreamsOfAKeyAreCounted) {
    options.limits.key_streams = 2;
    open();
    auto first = ask(1, "aaaa"), second = ask(1, "aaaa");
    EXPECT_FALSE(ask(1, "aaaa"));
    EXPECT_EQ(reasons.back(), "key_streams");
    first.reset();
    EXPECT_TRUE(ask(1, "aaaa"));
}

TEST_F(AdmissionTest, AKeysOwnRatesWinAndFollowAReload) {
    auto set = std::make_shared<const KeySet>(
        *KeySet::parse("sk-alice-0123456789 streams=1\n", "keys", "s"));
    options.keys = [&set] { return set; };
    open();
    const std::string id = set->by_number(1)->caller.key_id;
    auto held = ask(1, id);
    ASSERT_TRUE(held);
    EXPECT_FALSE(ask(1, id));
    set = std::make_shared<const KeySet>(
        *KeySet::parse("sk-alice-0123456789 streams=2\n", "keys", "s"));
    auto second = ask(1, id);
    EXPECT_TRUE(second);
    EXPECT_FALSE(ask(1, id));  // the one from before the reload still counts
}

TEST_F(AdmissionTest, AddressesHaveRatesButProxiesDoNot) {
    options.limits.ip_requests_per_minute = 2;
    options.is_proxy = [](const net::Address& address) { return address == "10.9.9.9"; };
    open();
    EXPECT_TRUE(ask());
    EXPECT_TRUE(ask());
    EXPECT_FALSE(ask());
    EXPECT_EQ(refusal.status, 429);
    EXPECT_EQ(reasons.back(), "ip_requests");
    EXPECT_TRUE(ask(1, "", "10.0.0.2"));
    for (int i = 0; i < 10; ++i)
        EXPECT_TRUE(ask(1, "", "10.9.9.9"));
}

TEST_F(AdmissionTest, TokensOfAnAddressAreBoundedToo) {
    options.limits.ip_tokens_per_minute = 100;
    open();
    EXPECT_TRUE(ask(90));
    EXPECT_FALSE(ask(90));
    EXPECT_EQ(reasons.back(), "ip_tokens");
}

TEST_F(AdmissionTest, FullMemoryRefusesAndIsAskedRarely) {
    double percent = 96;
    int asked = 0;
    options.memory_percent = [&] {
        ++asked;
        return percent;
    };
    open();
    EXPECT_FALSE(ask());
    EXPECT_EQ(refusal.status, 503);
    EXPECT_EQ(reasons.back(), "memory");
    percent = 50;
    EXPECT_FALSE(ask());  // within 250 ms nobody looks again
    EXPECT_EQ(asked, 1);
    now += milliseconds(250);
    EXPECT_TRUE(ask());
}

TEST_F(AdmissionTest, AClosedDoorKeepsWhatIsInside) {
    open();
    auto inside = ask();
    door->close();
    EXPECT_FALSE(ask());
    EXPECT_EQ(refusal.status, 503);
    EXPECT_EQ(refusal.code, "shutting_down");
    EXPECT_EQ(door->in_flight(), 1u);
    // A ticket may outlive the door.
    door.reset();
    inside->on_scheduled();
    inside->charge_output(5);
    inside.reset();
}

TEST_F(AdmissionTest, TheSpreadOfRetryAfterDiffers) {
    options.limits.key_requests_per_second = 1;
    options.limits.key_requests_burst = 1;
    open();
    ASSERT_TRUE(ask(1, "aaaa"));
    auto debt = ask(1, "aaaa");
    std::vector<int> seen;
    options.limits.key_tokens_per_minute = 60;
    open();
    auto ticket = ask(1, "bbbb");
    ticket->charge_output(90);
    now += seconds(2);
    for (int i = 0; i < 20; ++i) {
        EXPECT_FALSE(ask(1, "bbbb"));
        seen.push_back(*refusal.retry_after_s);
    }
    EXPECT_GE(*std::min_element(seen.begin(), seen.end()), 28);
    EXPECT_GT(*std::max_element(seen.begin(), seen.end()),
              *std::min_element(seen.begin(), seen.end()));
}

}  // namespace
}  // namespace tenon::server
