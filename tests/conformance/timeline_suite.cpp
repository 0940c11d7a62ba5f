// Timelines and the order of work over several queues.
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <thread>

#include "tests/conformance/trial.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr uint64_t kWaitNs = uint64_t{10} * 1000 * 1000 * 1000;
uint64_t g_cookie = 1000;

const host::Device& device() { return Target::instance().device(); }

// Its value, or the largest number when the query fails.
uint64_t now(const host::Timeline& timeline) {
    const auto value = timeline.query();
    return value.ok() ? *value : ~uint64_t{0};
}

TEST(Timeline, GrowsFromItsStart) {
    auto timeline = device().timeline(7);
    CONFORMANCE_MADE(timeline);
    EXPECT_EQ(now(*timeline), 7u);
    CONFORMANCE_OK(timeline->wait(7, 0));
    CONFORMANCE_OK(timeline->signal(9));
    EXPECT_EQ(now(*timeline), 9u);
    CONFORMANCE_OK(timeline->wait(8, 0));
    (void)timeline->signal(3).ok();  // refused or ignored, never a step back
    EXPECT_EQ(now(*timeline), 9u);
}

TEST(Timeline, WaitGivesUpInTime) {
    auto timeline = device().timeline();
    CONFORMANCE_MADE(timeline);
    const auto begin = steady_clock::now();
    CONFORMANCE_REFUSED(timeline->wait(1, 30'000'000), Code::kTimeout);
    const auto took = steady_clock::now() - begin;
    EXPECT_GE(took, milliseconds(25));
    EXPECT_LE(took, milliseconds(3000));
    CONFORMANCE_REFUSED(timeline->wait(1, 0), Code::kTimeout);
}

TEST(Timeline, WaitEndsWhenAnotherThreadSignals) {
    auto timeline = device().timeline();
    CONFORMANCE_MADE(timeline);
    Status signalled;
    std::thread raiser([&] {
        std::this_thread::sleep_for(milliseconds(20));
        signalled = timeline->signal(5);
    });
    const Status waited = timeline->wait(5, kWaitNs);
    raiser.join();
    CONFORMANCE_OK(waited);
    CONFORMANCE_OK(signalled);
}

TEST(Timeline, NotifiesOnce) {
    Target& target = Target::instance();
    auto timeline = device().timeline();
    CONFORMANCE_MADE(timeline);
    const uint64_t early = ++g_cookie;
    const uint64_t late = ++g_cookie;
    const uint64_t past = ++g_cookie;
    CONFORMANCE_OK(timeline->notify(1, early));
    CONFORMANCE_OK(timeline->notify(2, late));
    EXPECT_FALSE(target.wait_notice(early, milliseconds(10)).has_value());
    CONFORMANCE_OK(timeline->signal(1));
    EXPECT_EQ(target.wait_notice(early, milliseconds(2000)), TENON_OK);
    EXPECT_FALSE(target.wait_notice(late, milliseconds(10)).has_value());
    CONFORMANCE_OK(timeline->signal(4));
    EXPECT_EQ(target.wait_notice(late, milliseconds(2000)), TENON_OK);
    CONFORMANCE_OK(timeline->notify(3, past));
    EXPECT_EQ(target.wait_notice(past, milliseconds(2000)), TENON_OK);
    EXPECT_EQ(target.count_notices(early), 1);
    EXPECT_EQ(target.count_notices(late), 1);
    EXPECT_EQ(target.count_notices(past), 1);
}

TEST(Timeline, FailureStaysAndSpreads) {
    Target& target = Target::instance();
    auto root = device().timeline();
    auto middle = device().timeline();
    auto leaf = device().timeline();
    auto other = device().timeline();
    auto queue = device().queue();
    auto buffer = device().buffer(16, TENON_BUF_INPUT);
    CONFORMANCE_MADE(root);
    CONFORMANCE_MADE(middle);
    CONFORMANCE_MADE(leaf);
    CONFORMANCE_MADE(other);
    CONFORMANCE_MADE(queue);
    CONFORMANCE_MADE(buffer);
    const uint64_t number = 0x1122334455667788;
    uint64_t seen = 0;
    const tenon_copy in = host::copy_in(*buffer, 0, &number, 8);
    const tenon_copy out = host::copy_out(&seen, *buffer, 0, 8);
    const auto link = [&](const host::Timeline& from, const host::Timeline& to) {
        const tenon_point wait = from.at(1);
        const tenon_point signal = to.at(1);
        return queue->copy({&in, 1}, {{&wait, 1}, {&signal, 1}});
    };
    CONFORMANCE_OK(link(*root, *middle));
    CONFORMANCE_OK(link(*middle, *leaf));
    const uint64_t cookie = ++g_cookie;
    CONFORMANCE_OK(leaf->notify(1, cookie));
    CONFORMANCE_OK(root->signal(1, Code::kData));
    CONFORMANCE_REFUSED(leaf->wait(1, kWaitNs), Code::kData);
    CONFORMANCE_REFUSED(middle->wait(1, kWaitNs), Code::kData);
    EXPECT_EQ(target.wait_notice(cookie, milliseconds(2000)), TENON_DATA);
    CONFORMANCE_REFUSED(status_of(leaf->query()), Code::kData);
    (void)leaf->signal(1).ok();
    CONFORMANCE_REFUSED(leaf->wait(1, kWaitNs), Code::kData);

    // The queue serves other work, and the poisoned copies did not run.
    const tenon_point done = other->at(1);
    CONFORMANCE_OK(queue->copy({&out, 1}, {{}, {&done, 1}}));
    CONFORMANCE_OK(other->wait(1, kWaitNs));
    EXPECT_EQ(seen, 0u);
}

// Lets waiting work go however a case ends, so that its queues can close.
struct GateOpener {
    const host::Timeline& gate;
    ~GateOpener() { (void)gate.signal(1).ok(); }
};

// Random copies between cells over two queues. A copy waits, on the other queue's timeline, for the
// last copy that it conflicts with; the cells must end as if all had run in the order of their
// making.
TEST(Timeline, RandomGraphsOverTwoQueuesKeepTheirOrder) {
    constexpr size_t kCells = 8;
    constexpr uint64_t kCopies = 40;  // a queue may hold a bounded number of waiting pieces
    Random random(Target::instance().seed(), 3);
    for (int round = 0; round < 10; ++round) {
        auto gate = device().timeline();
        auto buffer = device().buffer(kCells * 8, TENON_BUF_INPUT);
        CONFORMANCE_MADE(gate);
        CONFORMANCE_MADE(buffer);
        host::Timeline timelines[2];
        host::Queue queues[2];
        const GateOpener opener{*gate};
        for (int q = 0; q < 2; ++q) {
            auto queue = device().queue();
            auto timeline = device().timeline();
            CONFORMANCE_MADE(queue);
            CONFORMANCE_MADE(timeline);
            queues[q] = std::move(*queue);
            timelines[q] = std::move(*timeline);
        }
        std::array<uint64_t, kCells> start{};
        for (uint64_t& cell : start)
            cell = random.bits();
        std::array<uint64_t, kCells> wanted = start;
        const tenon_copy fill = host::copy_in(*buffer, 0, start.data(), sizeof start);
        const tenon_point opened = gate->at(1);
        const tenon_point filled = timelines[0].at(1);
        CONFORMANCE_OK(queues[0].copy({&fill, 1}, {{&opened, 1}, {&filled, 1}}));

        uint64_t made[2] = {1, 0};  // last value that each queue will raise
        std::array<std::array<uint64_t, kCells>, 2> wrote{};  // value of the last write, per queue
        std::array<std::array<uint64_t, kCells>, 2> touched{};  // and of the last read or write
        wrote[0].fill(1);
        touched[0].fill(1);
        for (uint64_t i = 0; i < kCopies; ++i) {
            const auto q = static_cast<size_t>(random.below(2));
            const auto from = static_cast<size_t>(random.below(kCells));
            const auto to = (from + 1 + static_cast<size_t>(random.below(kCells - 1))) % kCells;
            const size_t other = 1 - q;
            const tenon_point wait =
                timelines[other].at(std::max(wrote[other][from], touched[other][to]));
            const tenon_point signal = timelines[q].at(++made[q]);
            const tenon_copy copy = host::copy_within(*buffer, to * 8, *buffer, from * 8, 8);
            const std::span<const tenon_point> waits(&wait, wait.value > 0 ? 1 : 0);
            CONFORMANCE_OK(queues[q].copy({&copy, 1}, {waits, {&signal, 1}}));
            touched[q][from] = made[q];
            touched[q][to] = made[q];
            wrote[q][to] = made[q];
            wanted[to] = wanted[from];
        }
        EXPECT_EQ(now(timelines[0]), 0u) << "work ran before the gate opened";
        CONFORMANCE_OK(gate->signal(1));
        CONFORMANCE_OK(timelines[0].wait(made[0], kWaitNs));
        CONFORMANCE_OK(timelines[1].wait(made[1], kWaitNs));
        std::array<uint64_t, kCells> seen{};
        const tenon_copy out = host::copy_out(seen.data(), *buffer, 0, sizeof seen);
        const tenon_point done = timelines[0].at(made[0] + 1);
        CONFORMANCE_OK(queues[0].copy({&out, 1}, {{}, {&done, 1}}));
        CONFORMANCE_OK(timelines[0].wait(made[0] + 1, kWaitNs));
        ASSERT_EQ(seen, wanted) << "round " << round;
    }
}

TEST(Timeline, OneCopyRaisesSeveral) {
    auto a = device().timeline();
    auto b = device().timeline();
    auto queue = device().queue();
    auto buffer = device().buffer(8, TENON_BUF_INPUT);
    CONFORMANCE_MADE(a);
    CONFORMANCE_MADE(b);
    CONFORMANCE_MADE(queue);
    CONFORMANCE_MADE(buffer);
    const uint64_t number = 1;
    const tenon_copy copy = host::copy_in(*buffer, 0, &number, 8);
    const tenon_point signals[] = {a->at(3), b->at(5)};
    CONFORMANCE_OK(queue->copy({&copy, 1}, {{}, signals}));
    CONFORMANCE_OK(a->wait(3, kWaitNs));
    CONFORMANCE_OK(b->wait(5, kWaitNs));
    EXPECT_EQ(now(*a), 3u);
    EXPECT_EQ(now(*b), 5u);
}

}  // namespace
