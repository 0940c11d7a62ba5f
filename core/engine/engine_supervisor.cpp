#include "core/engine/engine_supervisor.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

#include <sys/wait.h>

namespace tenon::engine {

namespace {

constexpr uint64_t kTickMs = 100;
constexpr int kStatusMs = 500;  // a process whose socket ended may take so long to die
constexpr int kShutdownMs = 2'000;
constexpr size_t kUnsentBytes = 8u << 20;  // more is encoded when the engine has read these

// A start that fails so fails again.
bool is_permanent(Code code) {
    return code == Code::kInvalid || code == Code::kUnsupported || code == Code::kConfig ||
           code == Code::kData || code == Code::kOomHost || code == Code::kOomDevice;
}

}  // namespace

void EngineSupervisor::end_locked(GenerationId id, FinishReason reason, std::optional<Error> error,
                                  std::vector<Outcome>& outcomes) {
    if (const Flight* flight = flights_.find(id)) {
        outcomes.push_back(outcome_locked(*flight, reason, std::move(error)));
        flights_.erase(id);
        is_delivering_ = true;
    }
}

void EngineSupervisor::deliver(std::vector<Outcome>&& outcomes) {
    for (Outcome& outcome : outcomes)
        outcome.sink->on_delta(std::move(outcome.delta));
    outcomes.clear();
    const std::lock_guard lock(mutex_);
    is_delivering_ = false;
    if (is_settled_locked()) settled_.notify_all();
}

void EngineSupervisor::run() {
    while (true) {
        const uint64_t now = clock_ms();
        bool is_due = false, is_stopping = false;
        {
            const std::lock_guard lock(mutex_);
            is_due = state_ == State::kDown && now >= restart_ms_ && !is_stopping_;
            is_stopping = is_stopping_;
        }
        if (is_due) {
            if (const Status status = spawn(); !status.ok()) {
                log({status.error().message});
                const std::lock_guard lock(mutex_);
                restart_ms_ = breaker_.on_death(now);
            }
        }
        if (now - tick_ms_ >= kTickMs) {
            tick_ms_ = now;
            watch();
        }
        settle();
        if (is_stopping) break;
        transmit();
        listen();
    }
    std::vector<std::string> lines;
    channel_.shut_down(kShutdownMs, lines);
    log(lines);
}

Status EngineSupervisor::spawn() {
    std::vector<std::string> argv = {options_.program};
    argv.insert(argv.end(), options_.arguments.begin(), options_.arguments.end());
    TENON_TRY(ProgressPage page, channel_.open(argv, bool(options_.on_log)));
    failed_.reset();
    stall_.reset();
    is_leaving_ = false;
    {
        const std::lock_guard lock(mutex_);
        page_ = std::move(page);
        state_ = State::kLoading;
        ++starts_;
    }
    return channel_.say(protocol::Hello{options_.model, options_.config});
}

// Waits for the engine, another thread or the next restart.
void EngineSupervisor::listen() {
    uint64_t timeout = kTickMs;
    {
        const std::lock_guard lock(mutex_);
        const uint64_t now = clock_ms();
        if (state_ == State::kDown)
            timeout = std::min(timeout, restart_ms_ > now ? restart_ms_ - now : 0);
    }
    EngineChannel::Arrivals arrivals;
    channel_.wait(wake_.get(), static_cast<int>(timeout), arrivals);
    log(arrivals.lines);
    for (protocol::Message& message : arrivals.messages)
        obey(std::move(message));
    if (failed_ && channel_.is_open()) {
        lose(failed_->error.message);
    } else if (arrivals.end) {
        lose(std::move(*arrivals.end));
    }
    const std::lock_guard lock(mutex_);
    if (state_ == State::kDying && channel_.is_gone()) state_ = State::kDown;
}

void EngineSupervisor::obey(protocol::Message&& message) {
    if (auto* deltas = std::get_if<protocol::Deltas>(&message)) {
        on_deltas(std::move(deltas->deltas));
    } else if (auto* stats = std::get_if<protocol::Stats>(&message)) {
        const std::lock_guard lock(mutex_);
        snapshot_ = std::move(stats->stats);
        snapshot_ms_ = clock_ms();
    } else if (const auto* loading = std::get_if<protocol::Loading>(&message)) {
        if (options_.on_load) options_.on_load(loading->done, loading->total);
    } else if (auto* ready = std::get_if<protocol::Ready>(&message)) {
        auto info = std::make_shared<const EngineInfo>(std::move(ready->info));
        ready_ms_ = clock_ms();
        {
            const std::lock_guard lock(mutex_);
            if (state_ == State::kLoading) state_ = State::kReady;
            info_ = info;
        }
        if (options_.on_ready) options_.on_ready(*info);
    } else if (std::get_if<protocol::Leaving>(&message) != nullptr) {
        if (is_leaving_) return;
        is_leaving_ = true;
        const std::lock_guard lock(mutex_);
        if (state_ == State::kReady) state_ = State::kLeaving;
        // Its answer; commands_ go before it, no Submit after it.
        commands_.emplace_back(protocol::Drain{});
    } else if (auto* failed = std::get_if<protocol::Failed>(&message)) {
        failed_ = std::move(*failed);
    }
}

void EngineSupervisor::on_deltas(std::vector<OutputDelta>&& deltas) {
    std::vector<Outcome> outcomes;
    outcomes.reserve(deltas.size());
    {
        const std::lock_guard lock(mutex_);
        is_delivering_ = true;
        for (OutputDelta& delta : deltas) {
            Flight* flight = flights_.find(delta.id);
            if (flight == nullptr || !flight->is_sent) continue;  // ended here before
            flights_.on_output(*flight, delta);
            if (!delta.tokens.empty() || (delta.finish && !delta.finish->error))
                breaker_.on_success();
            outcomes.push_back({flight->sink, {}});
            if (delta.finish) {
                // The engine's clock began when this engine got the request.
                const auto before = static_cast<double>(flight->sent_ms - flight->submitted_ms);
                delta.finish->queue_ms += before;
                delta.finish->total_ms += before;
                if (delta.finish->first_token_ms > 0) delta.finish->first_token_ms += before;
                flights_.erase(delta.id);
            }
            outcomes.back().delta = std::move(delta);
        }
    }
    deliver(std::move(outcomes));
}

void EngineSupervisor::watch() {
    if (!channel_.is_open()) return;
    const ProgressWords& words = page_.words();
    const uint64_t now = clock_ms();
    SignsOfLife signs;
    signs.steps = words.steps.load(std::memory_order_relaxed);
    signs.progress = words.progress.load(std::memory_order_relaxed);
    signs.heartbeat = words.heartbeat.load(std::memory_order_relaxed);
    bool is_loading = false;
    {
        const std::lock_guard lock(mutex_);
        is_loading = state_ == State::kLoading;
        signs.is_busy = is_loading || words.is_busy.load(std::memory_order_relaxed) != 0 ||
                        flights_.expects_progress();
        stall_.look(now, signs);
        is_stalled_ = !is_loading && stall_.is_silent_for(options_.stall_unready_ms);
        if (state_ == State::kReady && now - ready_ms_ > options_.crashes.window_ms)
            breaker_.on_success();
    }
    const uint32_t limit = is_loading ? options_.load_stall_ms : options_.stall_abort_ms;
    if (stall_.is_silent_for(limit))
        lose(fmt::format("it made no progress for {} ms{}", limit,
                         is_loading ? " while it loaded" : ""));
}

// Ends every request that no engine is to have.
void EngineSupervisor::settle() {
    std::vector<Outcome> outcomes;
    {
        const std::lock_guard lock(mutex_);
        const uint64_t now = clock_ms();
        if (!rejected_.empty()) is_delivering_ = true;
        outcomes.swap(rejected_);
        for (const GenerationId id : std::exchange(cancels_, {})) {
            const Flight* flight = flights_.find(id);
            if (flight == nullptr) continue;
            if (flight->is_sent) {
                commands_.emplace_back(protocol::Cancel{id});
            } else {
                end_locked(id, FinishReason::kCancelled, {}, outcomes);
            }
        }
        if (is_cancelling_) {
            for (const GenerationId id : flights_.all()) {
                if (flights_.find(id)->is_sent) commands_.emplace_back(protocol::Cancel{id});
                end_locked(id, FinishReason::kCancelled, {}, outcomes);
            }
        }
        const bool refuses =
            state_ == State::kFailed || (state_ != State::kReady && breaker_.is_open());
        if (refuses) {
            const Error error =
                failure_
                    ? *failure_
                    : Error{Code::kBusy,
                            fmt::format("the engine process died again and again; "
                                        "the next attempt is in {} s",
                                        restart_ms_ > now ? (restart_ms_ - now + 999) / 1000 : 1)};
            for (const GenerationId id : flights_.unsent())
                end_locked(id, FinishReason::kError, error, outcomes);
        }
        for (const GenerationId id : flights_.expired(now)) {
            const Flight* flight = flights_.find(id);
            const bool is_deadline = flight->request.deadline_ms > 0 &&
                                     now - flight->submitted_ms >= flight->request.deadline_ms;
            end_locked(
                id, FinishReason::kError,
                is_deadline
                    ? Error{Code::kTimeout, fmt::format("the deadline of {} ms passed before "
                                                        "an engine took the request",
                                                        flight->request.deadline_ms)}
                    : Error{Code::kBusy, fmt::format("no engine took the request within the "
                                                     "{} ms that it may wait",
                                                     flight->request.queue_wait_ms)},
                outcomes);
        }
    }
    deliver(std::move(outcomes));
}

// Encodes what the engine is to be told.
void EngineSupervisor::transmit() {
    std::vector<Outcome> outcomes;
    {
        const std::lock_guard lock(mutex_);
        const uint64_t now = clock_ms();
        while (state_ == State::kReady && channel_.unsent_bytes() < kUnsentBytes) {
            const Flight* flight = flights_.take_unsent(now);
            if (flight == nullptr) break;
            protocol::Submit submit{flight->request};
            const uint64_t waited = now - flight->submitted_ms;
            for (uint32_t* left : {&submit.request.queue_wait_ms, &submit.request.deadline_ms}) {
                if (*left > 0) *left = *left > waited ? static_cast<uint32_t>(*left - waited) : 1;
            }
            // One that ran before lost its place through no fault of its own: it waits afresh.
            if (flight->was_scheduled) submit.request.queue_wait_ms = flight->request.queue_wait_ms;
            const GenerationId id = flight->request.id;
            const bool is_paused = flight->is_paused;
            if (Status status = channel_.say(submit); !status.ok()) {
                end_locked(id, FinishReason::kError, std::move(status).error(), outcomes);
            } else if (is_paused) {
                static_cast<void>(channel_.say(protocol::Pause{id, true}).ok());
            }
        }
        if (state_ == State::kReady || state_ == State::kLeaving) {
            for (const protocol::Message& command : commands_)
                static_cast<void>(channel_.say(command).ok());
        }
        commands_.clear();
    }
    deliver(std::move(outcomes));
}

// The process is no engine any more: settles its requests and plans the next one. `why` is empty
// when its own end is to say it.
void EngineSupervisor::lose(std::string why) {
    if (!channel_.is_open()) return;
    Death death = Death::kCrash;
    std::vector<std::string> lines;
    const std::optional<int> status = channel_.close(why.empty() ? kStatusMs : 0, lines);
    if (why.empty()) {
        why = status ? describe_exit(*status) : "it closed its socket";
        if (status && WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL) death = Death::kOutside;
    }
    const bool is_clean = is_leaving_ && status && WIFEXITED(*status) && WEXITSTATUS(*status) == 0;
    const bool is_refusal = failed_ && failed_->stage == protocol::Failed::Stage::kLoading;
    lines.push_back(is_clean ? "the engine process left as it was asked to; a new one is started"
                    : is_refusal ? "the engine could not start: " + why
                                 : "the engine process died: " + why);
    log(lines);

    std::vector<FlightTable::Lost> lost;
    std::vector<Outcome> outcomes;
    bool never_ready = false, is_hopeless = false;
    {
        const std::lock_guard lock(mutex_);
        state_ = channel_.is_gone() ? State::kDown : State::kDying;
        never_ready = info_ == nullptr;
        restart_ms_ = is_clean ? clock_ms() : breaker_.on_death(clock_ms());
        is_hopeless = breaker_.is_open() || starts_ >= options_.crashes.deaths_max;
        is_stalled_ = false;
        commands_.clear();
        lost = flights_.on_death(death);
        for (const auto counter : kCounters)
            before_.*counter += snapshot_.*counter;
        before_.progress += page_.words().progress.exchange(0, std::memory_order_relaxed);
        snapshot_ = {};
        snapshot_ms_ = 0;
    }
    for (const FlightTable::Lost& flight : lost) {
        using Verdict = FlightTable::Verdict;
        const bool again = flight.verdict == Verdict::kAsk && flight.sink->on_engine_lost();
        const std::lock_guard lock(mutex_);
        if (again) {
            flights_.put_back(flight.id);
        } else if (flight.verdict == Verdict::kCancelled) {
            end_locked(flight.id, FinishReason::kCancelled, {}, outcomes);
        } else if (flight.verdict == Verdict::kPoison) {
            end_locked(flight.id, FinishReason::kError,
                       Error{Code::kInternal,
                             "poison_request: the engine process died whenever it "
                             "began this request; it is not tried again"},
                       outcomes);
        } else {
            end_locked(flight.id, FinishReason::kError,
                       Error{Code::kDeviceLost,
                             "the engine process died (" + why + ") and this answer cannot go on"},
                       outcomes);
        }
    }
    deliver(std::move(outcomes));
    if (!never_ready) return;
    if (is_refusal && is_permanent(failed_->error.code)) {
        give_up(std::move(failed_->error));
    } else if (is_hopeless) {
        give_up({failed_ ? failed_->error.code : Code::kInternal,
                 "the engine process died in every attempt to start it, last of: " + why});
    }
}

void EngineSupervisor::give_up(Error error) {
    {
        const std::lock_guard lock(mutex_);
        state_ = State::kFailed;
        failure_ = error;
    }
    if (options_.on_failed) options_.on_failed(error);
}

}  // namespace tenon::engine
