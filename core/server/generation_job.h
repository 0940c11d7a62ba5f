// One client's request on its way through the engine: its sequences, their cancellation, and exactly
// one outcome.
#pragma once

#include "core/server/admission.h"
#include "core/server/answer_form.h"
#include "core/server/service.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

namespace tenon::server {

// What a handler made of the request.
struct GenerationPlan {
    std::vector<engine::GenerationRequest> requests;  // all answers to the first prompt, then ...
    uint32_t answers_per_prompt = 1;
    std::unique_ptr<AnswerForm> form;
    bool stream = false;
};

// Lives as long as the engine keeps a sink of it. Outcomes: an answer; one error (nothing was sent
// before); a stream cut by one error event; nothing, because the client left.
class GenerationJob : public std::enable_shared_from_this<GenerationJob> {
public:
    // Asks admission and submits. Every refusal is answered here.
    static void start(Service& service, std::shared_ptr<RequestContext> context,
                      GenerationPlan plan);

    GenerationJob(Service& service, std::shared_ptr<RequestContext> context, GenerationPlan plan,
                  std::unique_ptr<Ticket> ticket);

private:
    class Sink;

    void run(std::vector<engine::GenerationRequest> requests);
    void watch_client();
    void on_delta(size_t index, engine::OutputDelta&& delta);
    bool on_engine_lost(size_t index);
    // These four want mutex_ held.
    void take(Choice& choice, engine::OutputDelta& delta);
    void send(const Choice& choice, const engine::OutputDelta& delta);
    void complete();
    void fail(const ApiError& error);
    Usage usage() const;
    void note_facts();
    // Without mutex_: the engine may answer at once.
    void cancel_all();

    Service& service_;
    const std::shared_ptr<RequestContext> context_;
    const std::unique_ptr<AnswerForm> form_;
    const bool stream_;
    const uint32_t answers_per_prompt_;
    std::vector<engine::GenerationId> ids_;  // fixed once run() began
    std::atomic<bool> is_gone_{false};       // the client left: nobody reads an answer

    std::mutex mutex_;
    std::unique_ptr<Ticket> ticket_;
    std::vector<Choice> choices_;
    size_t unfinished_ = 0;
    bool is_scheduled_ = false;
    bool has_begun_ = false;  // bytes of a stream were sent
    bool has_ended_ = false;  // the outcome is decided
};

}  // namespace tenon::server
