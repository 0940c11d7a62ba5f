// The requests of an engine link that have no finish yet, and what an engine's death means for
// each. Pure: no thread, no clock, no socket.
#pragma once

#include "core/engine/engine_client.h"

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>
#include <vector>

namespace tenon::engine {

// One request. Times in milliseconds of one monotonic clock.
struct Flight {
    GenerationRequest request;
    std::shared_ptr<OutputSink> sink;
    uint64_t number = 0;  // order of arrival
    uint64_t submitted_ms = 0;
    uint64_t sent_ms = 0;  // to the engine that runs now
    bool is_sent = false;
    bool is_paused = false;
    bool is_cancelled = false;
    bool was_scheduled = false;  // by any engine
    uint32_t outputs = 0;        // deltas with tokens, of the engine that runs now
    uint32_t deaths = 0;         // engines that died with it
    uint32_t suspicion = 0;      // points, see below
};

// How an engine died. Outside: SIGKILL that the link did not send; an operator, or the kernel out
// of memory.
enum class Death : uint8_t { kCrash, kOutside };

// A request is suspected of a death in which it had at most kFirstOutputs outputs. A crash weighs
// 3, a death from outside 2; at 6 points the request is poison. Suspects are sent to the next
// engine one at a time, each when the one before it has passed its first outputs, has ended or has
// had kTrialMs: so that a second death names one request and not its neighbours.
class FlightTable {
public:
    static constexpr uint32_t kFirstOutputs = 1;
    static constexpr uint32_t kPoisonPoints = 6;
    static constexpr uint32_t kDeathsMax = 8;  // a request that so many engines died with ends
    static constexpr uint64_t kTrialMs = 2'000;

    enum class Verdict : uint8_t { kCancelled, kPoison, kWorn, kAsk };
    struct Lost {
        GenerationId id;
        std::shared_ptr<OutputSink> sink;
        Verdict verdict;
    };

    // Null: the id is in flight already.
    Flight* add(GenerationRequest request, std::shared_ptr<OutputSink> sink, uint64_t now_ms);
    Flight* find(GenerationId id);
    // The next one to send to an engine that is ready, marked as sent; null: none now.
    Flight* take_unsent(uint64_t now_ms);
    // The engine's answer moved on.
    void on_output(Flight& flight, const OutputDelta& delta);
    void erase(GenerationId id);

    // The engine died: what to do with each request that it had, oldest first. Every one of them
    // must then be put back or erased.
    std::vector<Lost> on_death(Death death);
    // It will be sent again.
    void put_back(GenerationId id);

    // Requests that no engine has and whose queue_wait_ms or deadline_ms has passed.
    std::vector<GenerationId> expired(uint64_t now_ms) const;
    std::vector<GenerationId> unsent() const;
    std::vector<GenerationId> all() const;

    bool empty() const noexcept { return flights_.empty(); }
    size_t size() const noexcept { return flights_.size(); }
    size_t unsent_count() const noexcept { return clear_.size() + suspects_.size(); }
    // An engine that has these must make progress: some were sent and none is paused.
    bool expects_progress() const noexcept { return sent_ > 0 && paused_ == 0; }
    // For Flight::is_paused.
    void set_paused(Flight& flight, bool paused);

private:
    bool is_deadline_over(const Flight& flight, uint64_t now_ms) const;

    std::map<uint64_t, Flight> flights_;  // by number
    std::unordered_map<GenerationId, uint64_t> numbers_;
    std::set<uint64_t> clear_, suspects_;  // unsent ones
    uint64_t next_number_ = 1;
    uint64_t trial_ = 0;  // number of the suspect that was sent last; 0: none
    size_t sent_ = 0, paused_ = 0;
};

}  // namespace tenon::engine
