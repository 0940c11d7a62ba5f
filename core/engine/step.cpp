// The loop of the engine: one turn of it is step().
//
//   look      who is here, what is cached, how many blocks are free     -> a view
//   plan      who computes how many tokens, who gives its blocks back   -> a plan
//   launch    blocks, inputs, submit                                    -> a flight
//   land      wait, take the tokens, end what has ended                 -> deltas
//
// Without overlap a flight lands in the turn that launched it. With it the next one is launched
// first: its decode rows read their token from the device's output of the flight before, and the
// host handles results while the device works. Both give the same tokens.
#include "core/engine/engine_core.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <unordered_set>

namespace tenon::engine {

namespace {

double ms_between(Clock::time_point a, Clock::time_point b) {
    return std::chrono::duration<double, std::milli>(b - a).count();
}

}  // namespace

bool EngineCore::step() {
    expire();
    remove_finished();
    if (jobs_.empty() && flights_.empty()) {
        scheduler_.on_idle();
        return false;
    }
    build_view();
    Flight flight;
    bool launched = false;
    if (view_.size() > 0) {
        scheduler_.plan(view_, plan_);
        if (!plan_.preempt.empty() && !flights_.empty()) {
            // Blocks cannot be taken from a flight: land it and look again.
            if (const Status status = land(); !status.ok()) after_failure(status.error(), flight);
            if (options_.on_step_end) options_.on_step_end();
            return true;
        }
        apply_preemptions();
        if (collect(flight)) {
            const Status status = launch(flight);
            if (!status.ok()) after_failure(status.error(), flight);
            launched = status.ok();
        } else if (flights_.empty() && unblock()) {
            return true;
        }
    }
    // A launch of embeddings alone leaves nothing in flight.
    const bool may_wait = options_.overlap && launched && flights_.size() == 1 &&
                          std::none_of(flights_.back().rows.begin(), flights_.back().rows.end(),
                                       [](const Row& row) { return row.job->wants_logits(); });
    const bool lands = !flights_.empty() && !may_wait;
    if (lands) {
        if (const Status status = land(); !status.ok()) after_failure(status.error(), flight);
    }
    remove_finished();
    if ((launched || lands) && options_.on_step_end) options_.on_step_end();
    return launched || lands;
}

void EngineCore::build_view() {
    view_.clear();
    view_jobs_.clear();
    view_.block_tokens = kBlockTokens;
    view_.blocks_free = runner_.blocks().free_count();
    view_.blocks_evictable = static_cast<uint32_t>(tree_.stats().evictable_blocks);
    view_.blocks_total = runner_.blocks().count();
    view_.running_max = options_.max_running_requests;
    view_.key_blocks_max = std::max(
        1u, static_cast<uint32_t>(uint64_t{view_.blocks_total} * options_.key_kv_percent / 100));
    view_.prefill_bias = options_.prefill_bias;
    view_.age_weight = options_.age_weight;
    const Clock::time_point now = Clock::now();
    std::unordered_set<uint64_t> unfinished;  // starts of prompts that are not cached yet
    for (const std::unique_ptr<Job>& owned : jobs_) {
        Job& job = *owned;
        if (job.is_finished) continue;
        const bool waits = !job.is_running;
        if (waits && job.is_paused) continue;
        const uint32_t drawn = job.drawn() + (job.undrawn_row >= 0 ? 1 : 0);
        // Its last token is being drawn: nothing is left to compute.
        if (!job.is_embedding() && drawn >= job.request.max_tokens) continue;
        if (job.undrawn_row >= 0 && job.wants_logits()) continue;
        const uint32_t left = job.tokens_left();
        const kv::RadixTree::Peek hit = waits ? cached_of(job) : kv::RadixTree::Peek{};
        const uint32_t cached = hit.tokens;
        if (left == 0) continue;
        uint32_t shared = 0;
        if (job.shared_hash != 0 && job.sequence.length() + cached < job.request.prompt.size() &&
            !unfinished.insert(job.shared_hash).second && waits) {
            shared = kSharedTokens;
        }
        using sched::SequenceState;
        const SequenceState state = waits           ? SequenceState::kWaiting
                                    : job.is_paused ? SequenceState::kPaused
                                                    : SequenceState::kRunning;
        view_.state.push_back(static_cast<uint32_t>(state));
        view_.tokens_left.push_back(left - cached);
        view_.computed.push_back(job.sequence.length() + cached);
        view_.cached_tokens.push_back(cached);
        view_.shared_tokens.push_back(shared);
        view_.generated.push_back(drawn);
        view_.output_left.push_back(job.is_embedding() ? 0 : job.request.max_tokens - drawn);
        view_.blocks_held.push_back(job.sequence.table().owned() + tree_.sole_blocks(job.node));
        view_.blocks_locked.push_back(hit.evictable_blocks);
        view_.key.push_back(job.key);
        view_.priority.push_back(job.request.priority);
        view_.age_ms.push_back(static_cast<uint32_t>(ms_between(job.arrived, now)));
        view_.skipped.push_back(job.skipped);
        const double deadline = job.request.deadline_ms == 0
                                    ? std::numeric_limits<uint32_t>::max()
                                    : job.request.deadline_ms - ms_between(job.arrived, now);
        view_.deadline_ms.push_back(static_cast<uint32_t>(std::max(0.0, deadline)));
        view_jobs_.push_back(&job);
    }
}

void EngineCore::apply_preemptions() {
    if (plan_.preempt.empty()) return;
    uint64_t drawn = 0, wanted = 0;
    uint32_t running = 0;
    for (const uint32_t row : plan_.preempt)
        retract(*view_jobs_[row]);
    for (Job* job : view_jobs_) {
        if (!job->is_running) continue;
        drawn += job->drawn();
        wanted += job->request.max_tokens;
        ++running;
    }
    scheduler_.on_retract(drawn, wanted, running);
}

// Takes blocks for the planned rows and writes down what each computes. A row that finds no room
// after all (the cache changed since the plan) waits for the next turn. False when none is left.
bool EngineCore::collect(Flight& flight) {
    std::vector<bool> chosen(view_jobs_.size(), false);
    uint32_t budget = runner_.options().step_tokens_max;
    for (size_t i = 0; i < plan_.run.size(); ++i) {
        Job& job = *view_jobs_[plan_.run[i]];
        if (flight.rows.size() == runner_.options().sequences_max) break;
        if (!job.is_running) admit(job);
        const uint32_t tokens = std::min({plan_.tokens[i], job.tokens_left(), budget});
        if (tokens == 0 || !make_room(job, tokens)) {
            if (job.sequence.length() == 0 || !job.was_scheduled) release(job, false);
            continue;
        }
        chosen[plan_.run[i]] = true;
        budget -= tokens;
        flight.rows.push_back({&job, tokens, -1});
    }
    for (size_t row = 0; row < view_jobs_.size(); ++row) {
        Job& job = *view_jobs_[row];
        job.skipped = chosen[row] || !job.is_running ? 0 : job.skipped + 1;
    }
    return !flight.rows.empty();
}

// Nothing runs although somebody would, or a running one cannot go on: the youngest that holds blocks
// gives them back; one that holds all there is cannot be helped. False when nobody holds any.
bool EngineCore::unblock() {
    const auto running = static_cast<uint32_t>(sched::SequenceState::kRunning);
    if (plan_.run.empty() &&
        std::find(view_.state.begin(), view_.state.end(), running) == view_.state.end())
        return false;
    Job* youngest = nullptr;
    uint32_t holders = 0;
    for (Job* job : view_jobs_) {
        if (!job->is_running || job->is_finished) continue;
        ++holders;
        if (youngest == nullptr || job->arrived >= youngest->arrived) youngest = job;
    }
    if (youngest == nullptr) return false;
    if (holders > 1 || youngest->is_paused) {
        retract(*youngest);
    } else {
        finish(*youngest, FinishReason::kError,
               Error{Code::kOomDevice, "the KV cache has no room for the rest of this request"});
    }
    return true;
}

Status EngineCore::launch(Flight& flight) {
    const Clock::time_point now = Clock::now();
    flight.submitted = now;
    for (const Row& row : flight.rows) {
        if (row.job->was_scheduled) continue;
        row.job->was_scheduled = true;
        row.job->scheduled = now;
        OutputDelta delta;
        delta.id = row.job->request.id;
        delta.is_scheduled = true;
        row.job->sink->on_delta(std::move(delta));
    }
    TENON_CHECK(run_embeddings(flight));
    if (flight.rows.empty()) return {};

    items_.clear();
    int32_t logit_rows = 0;
    for (Row& row : flight.rows) {
        Job& job = *row.job;
        const uint32_t length = job.sequence.length();
        StepItem item;
        item.sequence = &job.sequence;
        static constexpr int32_t kUndrawn[] = {0};
        if (length < job.tokens.size()) {
            item.tokens = std::span(job.tokens).subspan(length, row.tokens);
        } else {
            item.tokens = kUndrawn;
            item.from_row = job.undrawn_row;
        }
        item.logit_rows = row.tokens == job.tokens_left() ? 1 : 0;
        item.sampling = &job.request.sampling;
        item.wants_logits = item.logit_rows == 1 && job.wants_logits();
        if (item.logit_rows == 1) row.logit_row = logit_rows++;
        if (row.tokens > 1) {
            flight.prefill_tokens += row.tokens;
        } else {
            ++flight.decode_rows;
        }
        flight.context_tokens += uint64_t{row.tokens} * (length + row.tokens);
        items_.push_back(item);
    }
    // A step has a row, wanted or not.
    if (logit_rows == 0) items_.front().logit_rows = 1;
    TENON_CHECK(runner_.submit(items_));
    flight.number = ++flights_launched_;
    for (const Row& row : flight.rows) {
        ++row.job->in_flight;
        row.job->undrawn_row = row.logit_row;
        row.job->undrawn_flight = flight.number;
    }
    flights_.push_back(std::move(flight));
    return {};
}

Status EngineCore::land() {
    TENON_CHECK(runner_.wait());
    const Flight flight = std::move(flights_.front());
    flights_.pop_front();
    ++steps_;
    const Clock::time_point now = Clock::now();
    scheduler_.observe(flight.prefill_tokens, flight.decode_rows, flight.context_tokens,
                       ms_between(std::max(flight.submitted, landed_), now));
    landed_ = now;
    if (flight.decode_rows > 0) scheduler_.on_decode_step();
    for (const Row& row : flight.rows) {
        Job& job = *row.job;
        --job.in_flight;
        if (job.undrawn_flight == flight.number) job.undrawn_row = -1;
        if (job.is_finished) continue;
        // The prompt's part; what was drawn is counted where it is drawn.
        if (job.drawn() == 0 && job.retractions == 0) prompt_tokens_ += row.tokens;
        if (row.tokens > 1) share_prefix(job);
        if (row.logit_row < 0) continue;
        take_token(job, runner_.sampled()[static_cast<size_t>(row.logit_row)],
                   runner_.row_logits(static_cast<size_t>(row.logit_row)));
    }
    if (options_.retract_every != 0 && steps_ % options_.retract_every == 0) {
        for (const Row& row : flight.rows) {
            if (row.job->is_running && !row.job->is_finished && row.job->in_flight == 0 &&
                row.logit_row >= 0)
                retract(*row.job);
        }
    }
    return {};
}

// What the device drew, or, with its logits at hand, what the host draws.
void EngineCore::take_token(Job& job, int32_t token, std::span<const float> logits) {
    const sampling::SamplingParams& how = job.request.sampling;
    if (!logits.empty() && (how.changes_logits() || job.answer.must_go_on())) {
        row_.assign(logits.begin(), logits.end());
        if (token >= 0 && how.changes_logits()) sampling::adjust_logits(row_, how, job.counts);
        if (job.answer.must_go_on()) sampling::forbid(row_, job.answer.ending_tokens());
        if (token >= 0) token = sampling::draw(row_, how, static_cast<int32_t>(job.tokens.size()));
    }
    if (token < 0) {
        finish(job, FinishReason::kError,
               Error{Code::kData, "numeric_error: a logit of this request is not a finite number"});
        return;
    }
    OutputToken drawn{token, 0, {}};
    if (job.request.logprobs >= 0 && !logits.empty()) {
        sampling::Logprobs logprobs =
            sampling::logprobs_of(logits, token, static_cast<uint32_t>(job.request.logprobs));
        drawn.logprob = logprobs.of_token;
        for (const auto& [id, logprob] : logprobs.top)
            drawn.top.push_back({id, logprob});
    }
    if (job.drawn() == 0) job.first_token = Clock::now();
    job.tokens.push_back(token);
    if (how.changes_logits()) job.counts.add_output(token);
    std::string text;
    const size_t before = job.answer.tokens().size();
    const std::optional<FinishReason> reason = job.answer.push(token, text);
    std::vector<OutputToken> tokens;
    if (job.answer.tokens().size() > before) {
        tokens.push_back(std::move(drawn));
        ++output_tokens_;
    }
    if (reason) {
        finish(job, *reason, {}, std::move(text), std::move(tokens));
        return;
    }
    OutputDelta delta;
    delta.id = job.request.id;
    delta.text = std::move(text);
    delta.tokens = std::move(tokens);
    job.sink->on_delta(std::move(delta));
}

// Embeddings have their own program: their rows leave the flight and are done before it.
Status EngineCore::run_embeddings(Flight& flight) {
    const auto generating =
        std::stable_partition(flight.rows.begin(), flight.rows.end(),
                              [](const Row& row) { return !row.job->is_embedding(); });
    if (generating == flight.rows.end()) return {};
    while (!flights_.empty())
        TENON_CHECK(land());
    const std::vector<Row> rows(generating, flight.rows.end());
    flight.rows.erase(generating, flight.rows.end());
    items_.clear();
    for (const Row& row : rows) {
        StepItem item;
        item.sequence = &row.job->sequence;
        item.tokens = std::span(row.job->tokens).subspan(row.job->sequence.length(), row.tokens);
        items_.push_back(item);
    }
    TENON_CHECK(runner_.embed(items_));
    ++steps_;
    for (size_t i = 0; i < rows.size(); ++i) {
        Job& job = *rows[i].job;
        prompt_tokens_ += rows[i].tokens;
        const std::span<const float> part = runner_.embedding(i);
        const auto length = static_cast<float>(job.sequence.length());
        const float share = static_cast<float>(rows[i].tokens) / length;
        if (job.embedding.empty()) {
            job.embedding.assign(part.begin(), part.end());
        } else if (runner_.pooling() == TENON_POOL_LAST) {
            job.embedding.assign(part.begin(), part.end());
        } else if (runner_.pooling() == TENON_POOL_MEAN) {
            for (size_t d = 0; d < part.size(); ++d)
                job.embedding[d] += (part[d] - job.embedding[d]) * share;
        }
        if (job.tokens_left() == 0) finish(job, FinishReason::kStop);
    }
    return {};
}

// Memory that is out is a reason to do less; everything else ends the engine.
void EngineCore::after_failure(const Error& error, Flight& flight) {
    for (const Flight& lost : flights_) {
        for (const Row& row : lost.rows) {
            row.job->in_flight = 0;
            row.job->undrawn_row = -1;
        }
    }
    std::vector<Row> rows = flight.rows;
    for (const Flight& lost : flights_)
        rows.insert(rows.end(), lost.rows.begin(), lost.rows.end());
    flights_.clear();
    if (error.code != Code::kOomDevice && error.code != Code::kOomHost) {
        fail(error);
        return;
    }
    Job* youngest = nullptr;
    for (const Row& row : rows) {
        if (row.job->is_finished) continue;
        if (youngest == nullptr || row.job->arrived > youngest->arrived) youngest = row.job;
    }
    if (youngest == nullptr) return;
    const bool is_alone = std::all_of(rows.begin(), rows.end(), [&](const Row& row) {
        return row.job == youngest || row.job->is_finished;
    });
    if (is_alone) {
        finish(*youngest, FinishReason::kError, error);
    } else {
        retract(*youngest);
    }
}

}  // namespace tenon::engine
