// The link's engine: one thread that starts engine processes, speaks with the one that runs, watches
// it, and settles its requests when it dies; and the EngineClient that any thread may call.
//
// Private to engine_link.cpp (what any thread calls) and engine_supervisor.cpp (the link's thread).
#pragma once

#include "core/engine/crash_breaker.h"
#include "core/engine/engine_channel.h"
#include "core/engine/engine_link.h"
#include "core/engine/flight_table.h"
#include "core/engine/stall_watch.h"

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

namespace tenon::engine {

// What a restarted engine counts from 0 again.
inline constexpr uint64_t EngineStats::*kCounters[] = {
    &EngineStats::steps,         &EngineStats::prompt_tokens, &EngineStats::cached_tokens,
    &EngineStats::output_tokens, &EngineStats::retractions,   &EngineStats::evicted_blocks,
    &EngineStats::plans_refused, &EngineStats::finished,      &EngineStats::cancelled,
    &EngineStats::failed};

// Monotonic.
uint64_t clock_ms();

class EngineSupervisor final : public EngineClient {
public:
    EngineSupervisor(EngineProcessOptions options, Descriptor wake)
        : options_(std::move(options)), breaker_(options_.crashes), wake_(std::move(wake)) {}
    ~EngineSupervisor() override;
    Status start();

    void submit(GenerationRequest request, std::shared_ptr<OutputSink> sink) override;
    void cancel(GenerationId id) override;
    void pause(GenerationId id, bool paused) override;
    void flush_cache() override;
    std::shared_ptr<const EngineInfo> info() const override;
    EngineStats stats() const override;
    bool drain(uint32_t budget_ms) override;

private:
    enum class State : uint8_t {
        kLoading,  // a process is there, Ready did not come
        kReady,
        kLeaving,  // it ends what it has and takes nothing more
        kDying,    // its requests are settled, it was not reaped
        kDown,     // none is there; restart_ms_ says when the next one starts
        kFailed,   // there will be none
    };
    struct Outcome {
        std::shared_ptr<OutputSink> sink;
        OutputDelta delta;
    };

    void run();
    Status spawn();
    void listen();
    void obey(protocol::Message&& message);
    void on_deltas(std::vector<OutputDelta>&& deltas);
    void watch();
    void settle();
    void transmit();
    void lose(std::string why);
    void give_up(Error error);
    void deliver(std::vector<Outcome>&& outcomes);
    Outcome outcome_locked(const Flight& flight, FinishReason reason, std::optional<Error> error);
    void end_locked(GenerationId id, FinishReason reason, std::optional<Error> error,
                    std::vector<Outcome>& outcomes);
    bool is_settled_locked() const {
        return flights_.empty() && rejected_.empty() && !is_delivering_;
    }
    void log(const std::vector<std::string>& lines) {
        for (const std::string& line : lines) {
            if (options_.on_log) options_.on_log(line);
        }
    }
    void ring() noexcept {
        const uint64_t one = 1;
        static_cast<void>(!write(wake_.get(), &one, sizeof(one)));
    }

    const EngineProcessOptions options_;

    mutable std::mutex mutex_;  // of what follows; never held while a sink or a callback runs
    std::condition_variable settled_;
    FlightTable flights_;
    CrashBreaker breaker_;
    State state_ = State::kDown;
    bool is_stalled_ = false, is_draining_ = false, is_cancelling_ = false, is_stopping_ = false;
    bool is_delivering_ = false;
    std::vector<Outcome> rejected_;
    std::vector<GenerationId> cancels_;
    std::vector<protocol::Message> commands_;  // of requests that were sent
    std::optional<Error> failure_;             // kFailed
    std::shared_ptr<const EngineInfo> info_;
    EngineStats snapshot_, before_;  // of this engine; sums of those that died
    uint64_t snapshot_ms_ = 0, restart_ms_ = 0, starts_ = 0;
    ProgressPage page_;

    // Touched by the link's thread alone.
    EngineChannel channel_;
    std::optional<protocol::Failed> failed_;
    StallWatch stall_;
    bool is_leaving_ = false;
    uint64_t ready_ms_ = 0, tick_ms_ = 0;

    Descriptor wake_;
    std::thread thread_;
};

}  // namespace tenon::engine
