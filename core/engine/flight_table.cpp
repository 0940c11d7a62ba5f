#include "core/engine/flight_table.h"

#include <utility>

namespace tenon::engine {

Flight* FlightTable::add(GenerationRequest request, std::shared_ptr<OutputSink> sink,
                         uint64_t now_ms) {
    if (!numbers_.try_emplace(request.id, next_number_).second) return nullptr;
    Flight& flight = flights_[next_number_];
    flight.request = std::move(request);
    flight.sink = std::move(sink);
    flight.number = next_number_;
    flight.submitted_ms = now_ms;
    clear_.insert(next_number_++);
    return &flight;
}

Flight* FlightTable::find(GenerationId id) {
    const auto at = numbers_.find(id);
    return at == numbers_.end() ? nullptr : &flights_.at(at->second);
}

Flight* FlightTable::take_unsent(uint64_t now_ms) {
    std::set<uint64_t>* from = &clear_;
    if (clear_.empty()) {
        if (suspects_.empty()) return nullptr;
        if (trial_ != 0 && now_ms - flights_.at(trial_).sent_ms < kTrialMs) return nullptr;
        from = &suspects_;
        trial_ = *suspects_.begin();
    }
    Flight& flight = flights_.at(*from->begin());
    from->erase(from->begin());
    flight.is_sent = true;
    flight.sent_ms = now_ms;
    ++sent_;
    return &flight;
}

void FlightTable::on_output(Flight& flight, const OutputDelta& delta) {
    if (delta.is_scheduled) flight.was_scheduled = true;
    if (delta.tokens.empty()) return;
    if (++flight.outputs <= kFirstOutputs) return;
    flight.suspicion = 0;
    if (trial_ == flight.number) trial_ = 0;
}

void FlightTable::erase(GenerationId id) {
    const auto at = numbers_.find(id);
    if (at == numbers_.end()) return;
    const auto flight = flights_.find(at->second);
    if (flight->second.is_sent) --sent_;
    if (flight->second.is_paused) --paused_;
    if (trial_ == at->second) trial_ = 0;
    clear_.erase(at->second);
    suspects_.erase(at->second);
    flights_.erase(flight);
    numbers_.erase(at);
}

std::vector<FlightTable::Lost> FlightTable::on_death(Death death) {
    std::vector<Lost> lost;
    for (auto& [number, flight] : flights_) {
        if (!flight.is_sent) continue;
        ++flight.deaths;
        if (flight.outputs <= kFirstOutputs) flight.suspicion += death == Death::kCrash ? 3 : 2;
        const Verdict verdict = flight.is_cancelled                 ? Verdict::kCancelled
                                : flight.suspicion >= kPoisonPoints ? Verdict::kPoison
                                : flight.deaths >= kDeathsMax       ? Verdict::kWorn
                                                                    : Verdict::kAsk;
        lost.push_back({flight.request.id, flight.sink, verdict});
    }
    trial_ = 0;
    return lost;
}

void FlightTable::put_back(GenerationId id) {
    Flight* flight = find(id);
    if (flight == nullptr || !flight->is_sent) return;
    flight->is_sent = false;
    flight->outputs = 0;
    --sent_;
    (flight->suspicion > 0 ? suspects_ : clear_).insert(flight->number);
}

bool FlightTable::is_deadline_over(const Flight& flight, uint64_t now_ms) const {
    const uint64_t waited = now_ms - flight.submitted_ms;
    const GenerationRequest& request = flight.request;
    return (request.deadline_ms > 0 && waited >= request.deadline_ms) ||
           (request.queue_wait_ms > 0 && !flight.was_scheduled && waited >= request.queue_wait_ms);
}

std::vector<GenerationId> FlightTable::expired(uint64_t now_ms) const {
    std::vector<GenerationId> ids;
    for (const std::set<uint64_t>* numbers : {&clear_, &suspects_}) {
        for (const uint64_t number : *numbers) {
            const Flight& flight = flights_.at(number);
            if (is_deadline_over(flight, now_ms)) ids.push_back(flight.request.id);
        }
    }
    return ids;
}

std::vector<GenerationId> FlightTable::unsent() const {
    std::vector<GenerationId> ids;
    for (const auto& [number, flight] : flights_) {
        if (!flight.is_sent) ids.push_back(flight.request.id);
    }
    return ids;
}

std::vector<GenerationId> FlightTable::all() const {
    std::vector<GenerationId> ids;
    for (const auto& [number, flight] : flights_)
        ids.push_back(flight.request.id);
    return ids;
}

void FlightTable::set_paused(Flight& flight, bool paused) {
    if (flight.is_paused == paused) return;
    flight.is_paused = paused;
    paused_ += paused ? 1 : size_t(-1);
}

}  // namespace tenon::engine
