#include "core/engine/engine_link.h"

#include "core/engine/engine_supervisor.h"

#include <fmt/format.h>

#include <chrono>
#include <future>

#include <sys/eventfd.h>

namespace tenon::engine {

uint64_t clock_ms() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

EngineSupervisor::~EngineSupervisor() {
    {
        const std::lock_guard lock(mutex_);
        is_stopping_ = is_cancelling_ = true;
    }
    ring();
    if (thread_.joinable()) thread_.join();
}

Status EngineSupervisor::start() {
    std::promise<Status> started;
    std::future<Status> first = started.get_future();
    // The child dies with the thread that started it.
    thread_ = std::thread([this, started = std::move(started)]() mutable {
        Status status = spawn();
        const bool is_ok = status.ok();
        started.set_value(std::move(status));
        if (is_ok) run();
    });
    return first.get();
}

void EngineSupervisor::submit(GenerationRequest request, std::shared_ptr<OutputSink> sink) {
    const uint64_t now = clock_ms();
    {
        const std::lock_guard lock(mutex_);
        const GenerationId id = request.id;
        std::optional<Error> error;
        if (is_draining_) {
            error = Error{Code::kBusy, "the server is being shut down"};
        } else if (flights_.find(id) != nullptr) {
            error = Error{Code::kInvalid, fmt::format("request id {} is in flight already", id)};
        }
        if (error) {
            Flight refused;
            refused.request = std::move(request);
            refused.sink = std::move(sink);
            refused.submitted_ms = now;
            rejected_.push_back(outcome_locked(refused, FinishReason::kError, std::move(error)));
        } else {
            flights_.add(std::move(request), std::move(sink), now);
        }
    }
    ring();
}

void EngineSupervisor::cancel(GenerationId id) {
    {
        const std::lock_guard lock(mutex_);
        Flight* flight = flights_.find(id);
        if (flight == nullptr || flight->is_cancelled) return;
        flight->is_cancelled = true;
        cancels_.push_back(id);
    }
    ring();
}

void EngineSupervisor::pause(GenerationId id, bool paused) {
    {
        const std::lock_guard lock(mutex_);
        Flight* flight = flights_.find(id);
        if (flight == nullptr || flight->is_paused == paused) return;
        flights_.set_paused(*flight, paused);
        if (!flight->is_sent) return;  // goes with its Submit
        commands_.emplace_back(protocol::Pause{id, paused});
    }
    ring();
}

void EngineSupervisor::flush_cache() {
    {
        const std::lock_guard lock(mutex_);
        commands_.emplace_back(protocol::FlushCache{});
    }
    ring();
}

std::shared_ptr<const EngineInfo> EngineSupervisor::info() const {
    const std::lock_guard lock(mutex_);
    return info_;
}

EngineStats EngineSupervisor::stats() const {
    const std::lock_guard lock(mutex_);
    EngineStats stats = snapshot_;
    const bool is_up = state_ == State::kReady || state_ == State::kLeaving;
    if (!is_up) stats.running = stats.paused = stats.waiting = 0;
    stats.waiting += static_cast<uint32_t>(is_up ? flights_.unsent_count() : flights_.size());
    for (const auto counter : kCounters)
        stats.*counter += before_.*counter;
    stats.progress = before_.progress + page_.words().progress.load(std::memory_order_relaxed);
    stats.restarts = starts_ > 0 ? starts_ - 1 : 0;
    if (snapshot_ms_ > 0) stats.last_step_age_ms += static_cast<double>(clock_ms() - snapshot_ms_);
    const char* reason = state_ == State::kFailed                        ? "failed"
                         : state_ != State::kReady && breaker_.is_open() ? "crash loop"
                         : state_ != State::kReady && info_ != nullptr   ? "restarting"
                         : state_ != State::kReady                       ? "loading"
                         : is_stalled_                                   ? "stalled"
                         : is_draining_                                  ? "draining"
                                                                         : nullptr;
    if (reason != nullptr) {
        stats.is_ready = false;
        stats.not_ready = reason;
        if (failure_) stats.not_ready += ": " + failure_->message;
    }
    return stats;
}

bool EngineSupervisor::drain(uint32_t budget_ms) {
    std::unique_lock lock(mutex_);
    is_draining_ = true;
    const bool in_time = settled_.wait_for(lock, std::chrono::milliseconds(budget_ms),
                                           [this] { return is_settled_locked(); });
    if (in_time) return true;
    is_cancelling_ = true;
    ring();
    settled_.wait(lock, [this] { return is_settled_locked(); });
    is_cancelling_ = is_stopping_;
    return false;
}

EngineSupervisor::Outcome EngineSupervisor::outcome_locked(const Flight& flight,
                                                           FinishReason reason,
                                                           std::optional<Error> error) {
    Outcome outcome{flight.sink, {}};
    outcome.delta.id = flight.request.id;
    Finish& finish = outcome.delta.finish.emplace();
    finish.reason = reason;
    finish.error = std::move(error);
    finish.prompt_tokens = static_cast<uint32_t>(flight.request.prompt.size());
    finish.total_ms = static_cast<double>(clock_ms() - flight.submitted_ms);
    return outcome;
}

Result<std::unique_ptr<EngineClient>> start_engine_process(EngineProcessOptions options) {
    Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (wake.get() < 0) return Error{Code::kOomHost, "no descriptor is left for an engine process"};
    auto link = std::make_unique<EngineSupervisor>(std::move(options), std::move(wake));
    TENON_CHECK(link->start());
    return std::unique_ptr<EngineClient>(std::move(link));
}

}  // namespace tenon::engine
