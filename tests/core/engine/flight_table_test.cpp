#include "core/engine/flight_table.h"

#include <gtest/gtest.h>

namespace tenon::engine {
namespace {

using Verdict = FlightTable::Verdict;

class Table : public ::testing::Test {
protected:
    Flight* add(GenerationId id, uint64_t now = 0) {
        GenerationRequest request;
        request.id = id;
        return table_.add(std::move(request), nullptr, now);
    }
    // Ids that are sent now, in their order.
    std::vector<GenerationId> send(uint64_t now = 0) {
        std::vector<GenerationId> ids;
        while (const Flight* flight = table_.take_unsent(now))
            ids.push_back(flight->request.id);
        return ids;
    }
    void output(GenerationId id, int count) {
        OutputDelta delta;
        delta.tokens.resize(1);
        for (; count > 0; --count)
            table_.on_output(*table_.find(id), delta);
    }
    // Verdicts in order; whoever may go on is put back, the others are erased.
    std::vector<std::pair<GenerationId, Verdict>> die(Death death) {
        std::vector<std::pair<GenerationId, Verdict>> verdicts;
        for (const FlightTable::Lost& lost : table_.on_death(death)) {
            verdicts.emplace_back(lost.id, lost.verdict);
            if (lost.verdict == Verdict::kAsk) {
                table_.put_back(lost.id);
            } else {
                table_.erase(lost.id);
            }
        }
        return verdicts;
    }
    FlightTable table_;
};

using Ids = std::vector<GenerationId>;
using Verdicts = std::vector<std::pair<GenerationId, Verdict>>;

TEST_F(Table, SendsInOrderOfArrivalAndOnce) {
    for (const GenerationId id : {9, 3, 7})
        EXPECT_NE(add(id), nullptr);
    EXPECT_EQ(add(3), nullptr);
    EXPECT_EQ(table_.unsent_count(), 3u);
    EXPECT_EQ(send(), (Ids{9, 3, 7}));
    EXPECT_EQ(send(), Ids{});
    table_.erase(3);
    table_.erase(3);
    EXPECT_EQ(table_.find(3), nullptr);
    EXPECT_EQ(table_.all(), (Ids{9, 7}));
}

TEST_F(Table, RequestsPastTheirFirstOutputsAreReplayedTogetherAndInOrder) {
    for (const GenerationId id : {1, 2, 3})
        add(id);
    send();
    for (const GenerationId id : {1, 2, 3})
        output(id, 2);
    add(4);  // never sent: nothing is asked
    EXPECT_EQ(die(Death::kCrash),
              (Verdicts{{1, Verdict::kAsk}, {2, Verdict::kAsk}, {3, Verdict::kAsk}}));
    EXPECT_EQ(send(), (Ids{1, 2, 3, 4}));
}

TEST_F(Table, SuspectsGoOneAtATime) {
    for (const GenerationId id : {1, 2, 3})
        add(id);
    send();
    die(Death::kCrash);
    EXPECT_EQ(send(10), Ids{1});
    output(1, 1);
    EXPECT_EQ(send(20), Ids{});
    output(1, 1);
    EXPECT_EQ(send(30), Ids{2});
    table_.erase(2);  // its end ends its trial
    EXPECT_EQ(send(40), Ids{3});
}

TEST_F(Table, ATrialDoesNotLastForEver) {
    add(1);
    add(2);
    send();
    die(Death::kCrash);
    EXPECT_EQ(send(0), Ids{1});
    EXPECT_EQ(send(FlightTable::kTrialMs - 1), Ids{});
    EXPECT_EQ(send(FlightTable::kTrialMs), Ids{2});
}

TEST_F(Table, ThePoisonIsNamedAtTheSecondCrashItsNeighboursAreNot) {
    for (const GenerationId id : {1, 2, 3})
        add(id);
    send();
    die(Death::kCrash);
    send(10);
    output(1, 2);
    EXPECT_EQ(send(20), Ids{2});
    EXPECT_EQ(die(Death::kCrash), (Verdicts{{1, Verdict::kAsk}, {2, Verdict::kPoison}}));
    EXPECT_EQ(send(30), (Ids{1, 3}));
}

TEST_F(Table, DeathsFromOutsideWeighLess) {
    add(1);
    for (int death = 0; death < 2; ++death) {
        send();
        EXPECT_EQ(die(Death::kOutside), (Verdicts{{1, Verdict::kAsk}}));
    }
    send();
    EXPECT_EQ(die(Death::kOutside), (Verdicts{{1, Verdict::kPoison}}));
}

TEST_F(Table, OutputsClearASuspect) {
    add(1);
    for (int death = 0; death < 3; ++death) {
        send();
        EXPECT_EQ(die(Death::kCrash), (Verdicts{{1, Verdict::kAsk}}));
        send();
        output(1, 2);
        table_.on_death(Death::kOutside);  // past its first outputs: no suspicion
        table_.put_back(1);
    }
}

TEST_F(Table, ARequestThatSawManyDeathsEnds) {
    add(1);
    for (uint32_t death = 1; death < FlightTable::kDeathsMax; ++death) {
        send();
        output(1, 5);
        ASSERT_EQ(die(Death::kOutside), (Verdicts{{1, Verdict::kAsk}}));
    }
    send();
    output(1, 5);
    EXPECT_EQ(die(Death::kOutside), (Verdicts{{1, Verdict::kWorn}}));
}

TEST_F(Table, ACancelledOneIsNotAsked) {
    add(1)->is_cancelled = true;
    send();
    EXPECT_EQ(die(Death::kCrash), (Verdicts{{1, Verdict::kCancelled}}));
    EXPECT_TRUE(table_.empty());
}

TEST_F(Table, ClocksRunWhereNoEngineHasTheRequest) {
    add(1, 100)->request.deadline_ms = 50;
    add(2, 100)->request.queue_wait_ms = 70;
    add(3, 100);
    EXPECT_EQ(table_.expired(149), Ids{});
    EXPECT_EQ(table_.expired(150), Ids{1});
    EXPECT_EQ(table_.expired(170), (Ids{1, 2}));
    table_.find(2)->was_scheduled = true;  // it waited already
    EXPECT_EQ(table_.expired(170), Ids{1});
    send();
    EXPECT_EQ(table_.expired(1'000'000), Ids{});
}

TEST_F(Table, ProgressIsExpectedOfWhatWasSentAndIsNotPaused) {
    EXPECT_FALSE(table_.expects_progress());
    add(1);
    EXPECT_FALSE(table_.expects_progress());
    send();
    EXPECT_TRUE(table_.expects_progress());
    table_.set_paused(*table_.find(1), true);
    table_.set_paused(*table_.find(1), true);
    EXPECT_FALSE(table_.expects_progress());
    table_.set_paused(*table_.find(1), false);
    EXPECT_TRUE(table_.expects_progress());
    table_.erase(1);
    EXPECT_FALSE(table_.expects_progress());
}

}  // namespace
}  // namespace tenon::engine
