#include "core/server/generation_job.h"

#include "core/server/request_clock.h"

#include <algorithm>
#include <utility>

namespace tenon::server {

// The engine's end of one sequence.
class GenerationJob::Sink : public engine::OutputSink {
public:
    Sink(std::shared_ptr<GenerationJob> job, size_t index) : job_(std::move(job)), index_(index) {}
    void on_delta(engine::OutputDelta&& delta) override {
        job_->on_delta(index_, std::move(delta));
    }
    bool on_engine_lost() override { return job_->on_engine_lost(index_); }

private:
    std::shared_ptr<GenerationJob> job_;
    size_t index_;
};

void GenerationJob::start(Service& service, std::shared_ptr<RequestContext> context,
                          GenerationPlan plan) {
    uint64_t prompt_tokens = 0;
    for (size_t i = 0; i < plan.requests.size(); i += plan.answers_per_prompt)
        prompt_tokens += plan.requests[i].prompt.size();
    context->prompt_tokens = static_cast<uint32_t>(std::min<uint64_t>(prompt_tokens, UINT32_MAX));
    std::unique_ptr<Ticket> ticket;
    if (service.admission != nullptr) {
        ApiError refusal;
        ticket = service.admission->admit(*context, static_cast<uint32_t>(plan.requests.size()),
                                          prompt_tokens, refusal);
        if (!ticket) return context->fail(refusal);
    }
    std::vector<engine::GenerationRequest> requests = std::move(plan.requests);
    auto job = std::make_shared<GenerationJob>(service, std::move(context), std::move(plan),
                                               std::move(ticket));
    job->run(std::move(requests));
}

GenerationJob::GenerationJob(Service& service, std::shared_ptr<RequestContext> context,
                             GenerationPlan plan, std::unique_ptr<Ticket> ticket)
    : service_(service),
      context_(std::move(context)),
      form_(std::move(plan.form)),
      stream_(plan.stream),
      answers_per_prompt_(plan.answers_per_prompt),
      ticket_(std::move(ticket)) {}

void GenerationJob::run(std::vector<engine::GenerationRequest> requests) {
    choices_.resize(requests.size());
    unfinished_ = requests.size();
    uint64_t tokens_max = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
        choices_[i].index = static_cast<uint32_t>(i);
        ids_.push_back(requests[i].id);
        tokens_max = std::max<uint64_t>(tokens_max, requests[i].max_tokens);
    }
    set_request_clock(service_, *context_, *form_, tokens_max, stream_);
    watch_client();
    for (size_t i = 0; i < requests.size(); ++i) {
        service_.engine->submit(std::move(requests[i]),
                                std::make_shared<Sink>(shared_from_this(), i));
    }
    // The client may have left before its sequences were known to the engine.
    if (is_gone_) cancel_all();
}

void GenerationJob::watch_client() {
    const std::weak_ptr<GenerationJob> weak = weak_from_this();
    context_->exchange->on_close([weak](net::CloseReason) {
        const auto job = weak.lock();
        if (!job) return;
        job->is_gone_ = true;
        job->cancel_all();
    });
    if (!stream_) return;
    context_->exchange->on_pause([weak](bool paused) {
        const auto job = weak.lock();
        if (!job) return;
        for (const engine::GenerationId id : job->ids_)
            job->service_.engine->pause(id, paused);
    });
    context_->exchange->set_ping(std::string(form_->ping()));
}

void GenerationJob::on_delta(size_t index, engine::OutputDelta&& delta) {
    bool must_cancel = false;
    {
        const std::lock_guard lock(mutex_);
        Choice& choice = choices_[index];
        if (choice.finish) return;
        const bool is_live = !has_ended_ && !is_gone_;
        take(choice, delta);
        if (is_live && choice.finish && choice.finish->reason == engine::FinishReason::kError) {
            const std::optional<Error>& error = choice.finish->error;
            fail(error_of(error.value_or(Error{Code::kInternal, "no reason"})));
            must_cancel = true;
        } else if (is_live && choice.finish &&
                   choice.finish->reason == engine::FinishReason::kCancelled) {
            fail(error_of(Error{Code::kCancelled, "cancelled"}));
            must_cancel = true;
        } else if (is_live && stream_) {
            send(choice, delta);
            must_cancel = is_gone_;
        }
        if (choice.finish && --unfinished_ == 0) complete();
    }
    if (must_cancel) cancel_all();
}

void GenerationJob::take(Choice& choice, engine::OutputDelta& delta) {
    if (delta.is_scheduled && !std::exchange(is_scheduled_, true) && ticket_) {
        ticket_->on_scheduled();
    }
    choice.text += delta.text;
    if (!stream_) {
        choice.tokens.insert(choice.tokens.end(), std::make_move_iterator(delta.tokens.begin()),
                             std::make_move_iterator(delta.tokens.end()));
    }
    if (!delta.embedding.empty()) choice.embedding = std::move(delta.embedding);
    if (!delta.finish) return;
    choice.finish = std::move(delta.finish);
    delta.finish.reset();
    if (ticket_) ticket_->charge_output(choice.finish->output_tokens);
}

void GenerationJob::send(const Choice& choice, const engine::OutputDelta& delta) {
    std::string events;
    const bool has_news = choice.finish || form_->has_news(delta);
    if (!has_begun_ && !has_news) return;
    if (!std::exchange(has_begun_, true)) {
        form_->begin(events);
        context_->begin_stream();
    }
    form_->delta(choice, delta, events);
    if (!events.empty() && !context_->exchange->write(events)) is_gone_ = true;
}

void GenerationJob::complete() {
    ticket_.reset();
    note_facts();
    if (is_gone_ || std::exchange(has_ended_, true)) return;
    if (!stream_) return context_->respond_json(form_->whole(choices_, usage()));
    std::string events;
    if (!has_begun_) {
        has_begun_ = true;
        form_->begin(events);
        context_->begin_stream();
    }
    form_->end(choices_, usage(), events);
    context_->exchange->write(events);
    context_->exchange->finish();
}

void GenerationJob::fail(const ApiError& error) {
    has_ended_ = true;
    context_->error_code = error.code;
    note_facts();
    if (!has_begun_) return context_->fail(error);
    std::string events;
    form_->error(error, events);
    context_->exchange->write(events);
    context_->exchange->finish();
}

bool GenerationJob::on_engine_lost(size_t index) {
    const std::lock_guard lock(mutex_);
    Choice& choice = choices_[index];
    if (choice.finish || has_begun_ || has_ended_ || is_gone_) return false;
    choice.text.clear();
    choice.tokens.clear();
    choice.embedding.clear();
    return true;
}

Usage GenerationJob::usage() const {
    Usage usage;
    for (const Choice& choice : choices_) {
        if (!choice.finish) continue;
        usage.output_tokens += choice.finish->output_tokens;
        if (choice.index % answers_per_prompt_ != 0) continue;
        usage.prompt_tokens += choice.finish->prompt_tokens;
        usage.cached_tokens += choice.finish->cached_tokens;
    }
    return usage;
}

void GenerationJob::note_facts() {
    const Usage used = usage();
    context_->cached_tokens = static_cast<uint32_t>(used.cached_tokens);
    context_->output_tokens = static_cast<uint32_t>(used.output_tokens);
    for (const Choice& choice : choices_) {
        if (!choice.finish) continue;
        context_->queue_ms = choice.finish->queue_ms;
        context_->first_token_ms = choice.finish->first_token_ms;
        context_->finish_reason = engine::name_of(choice.finish->reason);
        return;
    }
}

void GenerationJob::cancel_all() {
    for (const engine::GenerationId id : ids_)
        service_.engine->cancel(id);
}

}  // namespace tenon::server
