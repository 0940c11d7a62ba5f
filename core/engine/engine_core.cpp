// Jobs: how they come and how they end.
#include "core/engine/engine_core.h"

#include <fmt/format.h>

#include <algorithm>

namespace tenon::engine {

namespace {

double ms_since(Clock::time_point start, Clock::time_point now) {
    return std::chrono::duration<double, std::milli>(now - start).count();
}

// Of the first kSharedTokens tokens and the scope; 0 when there are fewer or nothing is cached.
uint64_t prefix_hash(const GenerationRequest& request) {
    if (request.kind == GenerationRequest::Kind::kEmbed ||
        request.prompt.size() <= EngineCore::kSharedTokens)
        return 0;
    uint64_t hash = std::hash<std::string>{}(request.cache_scope);
    for (uint32_t i = 0; i < EngineCore::kSharedTokens; ++i) {
        // The multiplier of a 64-bit linear congruential generator (Knuth, MMIX).
        hash = (hash ^ static_cast<uint32_t>(request.prompt[i])) * 6364136223846793005u;
        hash ^= hash >> 29;
    }
    return hash | 1;
}

}  // namespace

EngineCore::EngineCore(ModelRunner& runner, const tokenizer::Tokenizer& tokenizer,
                       sched::Scheduler& scheduler, CoreOptions options)
    : runner_(runner),
      tokenizer_(tokenizer),
      scheduler_(scheduler),
      options_(std::move(options)),
      tree_(runner.blocks(), {.block_tokens = kBlockTokens, .eviction = options_.eviction}) {}

EngineCore::~EngineCore() {
    while (runner_.in_flight() > 0) {
        if (!runner_.wait().ok()) break;
    }
    flights_.clear();
    for (const std::unique_ptr<Job>& job : jobs_) {
        job->in_flight = 0;
        if (!job->is_finished) finish(*job, FinishReason::kCancelled);
    }
    remove_finished();
}

void EngineCore::obey(Command&& command) {
    switch (command.kind) {
        case Command::Kind::kSubmit: submit(std::move(command)); break;
        case Command::Kind::kCancel: cancel(command.id); break;
        case Command::Kind::kPause:
        case Command::Kind::kResume:
            pause(command.id, command.kind == Command::Kind::kPause);
            break;
        case Command::Kind::kFlushCache: tree_.clear(); break;
        case Command::Kind::kClose: is_closed_ = true; break;
    }
}

std::optional<Error> EngineCore::refusal_of(const GenerationRequest& request) const {
    if (failure_) return Error{Code::kDeviceLost, failure_->message};
    if (is_closed_) return Error{Code::kBusy, "the server is draining and takes no new requests"};
    if (by_id_.contains(request.id)) {
        return Error{Code::kInternal,
                     fmt::format("a request with id {} is in flight already", request.id)};
    }
    if (request.prompt.empty()) return Error{Code::kInvalid, "the prompt has no tokens"};
    const bool embeds = request.kind == GenerationRequest::Kind::kEmbed;
    if (embeds && !runner_.options().embeddings) {
        return Error{Code::kUnsupported, "this server was started without embeddings"};
    }
    if (!embeds && request.max_tokens == 0) {
        return Error{Code::kInvalid, "max_tokens is 0; expected 1 or more"};
    }
    const uint64_t length = request.prompt.size() + (embeds ? 0 : request.max_tokens);
    const uint32_t context = runner_.options().context_length;
    if (length > context) {
        return Error{Code::kInvalid,
                     fmt::format("the prompt has {} tokens and asks for {} more; the context holds "
                                 "{}",
                                 request.prompt.size(), embeds ? 0 : request.max_tokens, context)};
    }
    const uint64_t pool = uint64_t{runner_.blocks().count()} * kBlockTokens;
    if (length > pool) {
        return Error{Code::kInvalid,
                     fmt::format("the prompt has {} tokens and asks for {} more; the KV cache of "
                                 "this server holds {}",
                                 request.prompt.size(), embeds ? 0 : request.max_tokens, pool)};
    }
    const auto width = static_cast<int32_t>(runner_.vocab_size());
    const auto is_outside = [&](int32_t id) { return id < 0 || id >= width; };
    const auto outside = std::find_if(request.prompt.begin(), request.prompt.end(), is_outside);
    if (outside != request.prompt.end()) {
        return Error{Code::kInvalid,
                     fmt::format("token id {} is outside 0 to {}", *outside, width - 1)};
    }
    if (Status status = sampling::validate(request.sampling); !status.ok()) return status.error();
    return std::nullopt;
}

void EngineCore::submit(Command&& command) {
    if (std::optional<Error> refusal = refusal_of(*command.request)) {
        OutputDelta delta;
        delta.id = command.request->id;
        delta.finish.emplace();
        delta.finish->reason = FinishReason::kError;
        delta.finish->error = std::move(refusal);
        delta.finish->prompt_tokens = static_cast<uint32_t>(command.request->prompt.size());
        ++failed_;
        command.sink->on_delta(std::move(delta));
        return;
    }
    Result<Sequence> sequence = runner_.open();
    auto job = std::make_unique<Job>(tokenizer_, std::move(*command.request),
                                     std::move(command.sink), std::move(*sequence));
    job->arrived = Clock::now();
    if (job->request.sampling.changes_logits()) {
        for (const int32_t token : job->request.prompt)
            job->counts.add_prompt(token);
    }
    job->key = keys_.try_emplace(job->request.cache_scope, static_cast<uint32_t>(keys_.size()))
                   .first->second;
    job->shared_hash = prefix_hash(job->request);
    by_id_.emplace(job->request.id, job.get());
    jobs_.push_back(std::move(job));
}

void EngineCore::cancel(GenerationId id) {
    const auto found = by_id_.find(id);
    if (found != by_id_.end() && !found->second->is_finished)
        finish(*found->second, FinishReason::kCancelled);
}

void EngineCore::pause(GenerationId id, bool paused) {
    const auto found = by_id_.find(id);
    if (found != by_id_.end()) found->second->is_paused = paused;
}

void EngineCore::finish(Job& job, FinishReason reason, std::optional<Error> error, std::string text,
                        std::vector<OutputToken> tokens) {
    const Clock::time_point now = Clock::now();
    OutputDelta delta;
    delta.id = job.request.id;
    delta.text = std::move(text);
    delta.tokens = std::move(tokens);
    if (reason == FinishReason::kCancelled) job.answer.flush(delta.text);
    delta.embedding = std::move(job.embedding);
    Finish& finish = delta.finish.emplace();
    finish.reason = reason;
    finish.matched = job.answer.matched();
    finish.prompt_tokens = static_cast<uint32_t>(job.request.prompt.size());
    finish.cached_tokens = job.cached_tokens;
    finish.output_tokens = static_cast<uint32_t>(job.answer.tokens().size());
    finish.queue_ms = ms_since(job.arrived, job.was_scheduled ? job.scheduled : now);
    finish.first_token_ms = job.drawn() > 0 ? ms_since(job.arrived, job.first_token) : 0;
    finish.total_ms = ms_since(job.arrived, now);
    finish.retractions = job.retractions;
    const bool is_garbage = error && error->code == Code::kData;
    finish.error = std::move(error);
    ++(reason == FinishReason::kError       ? failed_
       : reason == FinishReason::kCancelled ? cancelled_
                                            : finished_);
    job.is_finished = true;
    has_finished_ = true;
    job.sink->on_delta(std::move(delta));
    job.sink.reset();
    if (job.in_flight == 0) release(job, !is_garbage);
    // What it wrote before may be garbage as well, and may have been shared.
    if (is_garbage) tree_.clear();
}

void EngineCore::expire() {
    const Clock::time_point now = Clock::now();
    for (const std::unique_ptr<Job>& job : jobs_) {
        if (job->is_finished) continue;
        const double age = ms_since(job->arrived, now);
        const GenerationRequest& request = job->request;
        if (request.deadline_ms != 0 && age > request.deadline_ms) {
            finish(*job, FinishReason::kError,
                   Error{Code::kTimeout, fmt::format("the deadline of {} ms of this request passed",
                                                     request.deadline_ms)});
        } else if (!job->was_scheduled && request.queue_wait_ms != 0 &&
                   age > request.queue_wait_ms) {
            finish(*job, FinishReason::kError,
                   Error{Code::kBusy,
                         fmt::format("no step could take this request within {} ms; the queue is "
                                     "longer than the server can serve",
                                     request.queue_wait_ms)});
        }
    }
}

void EngineCore::remove_finished() {
    if (!has_finished_) return;
    has_finished_ = false;
    std::erase_if(jobs_, [&](const std::unique_ptr<Job>& job) {
        if (!job->is_finished) return false;
        if (job->in_flight > 0) {
            has_finished_ = true;
            return false;
        }
        if (job->is_running) release(*job, true);
        by_id_.erase(job->request.id);
        return true;
    });
    if (jobs_.empty()) keys_.clear();
}

void EngineCore::fail(const Error& error) {
    failure_ = error;
    for (const std::unique_ptr<Job>& job : jobs_) {
        job->in_flight = 0;
        if (!job->is_finished) {
            finish(*job, FinishReason::kError, Error{Code::kDeviceLost, error.message});
        }
    }
    flights_.clear();
    remove_finished();
}

void EngineCore::fill(EngineStats& stats) const {
    stats.running = stats.waiting = stats.paused = 0;
    for (const std::unique_ptr<Job>& job : jobs_) {
        if (job->is_finished) continue;
        ++(job->is_paused ? stats.paused : job->is_running ? stats.running : stats.waiting);
    }
    const kv::RadixStats& cache = tree_.stats();
    stats.blocks_free = runner_.blocks().free_count();
    stats.blocks_cached = static_cast<uint32_t>(cache.evictable_blocks);
    stats.blocks_used = runner_.blocks().count() - stats.blocks_free - stats.blocks_cached;
    stats.steps = steps_;
    stats.prompt_tokens = prompt_tokens_;
    stats.cached_tokens = cached_tokens_;
    stats.output_tokens = output_tokens_;
    stats.retractions = retractions_;
    stats.evicted_blocks = cache.evicted_blocks;
    stats.plans_refused = scheduler_.plans_refused();
    stats.finished = finished_;
    stats.cancelled = cancelled_;
    stats.failed = failed_;
    stats.new_token_ratio = scheduler_.new_token_ratio();
    stats.effective_policy = scheduler_.effective_policy();
}

}  // namespace tenon::engine
