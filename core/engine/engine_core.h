// The engine without its thread: jobs, cache, scheduler and runner. step.cpp is the loop; read it
// first.
#pragma once

#include "core/engine/engine_client.h"
#include "core/engine/job.h"
#include "core/sched/scheduler.h"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace tenon::engine {

struct CoreOptions {
    uint32_t max_running_requests = 1;
    bool use_radix_cache = true;
    kv::Eviction eviction = kv::Eviction::kLru;
    float prefill_bias = 0;
    float age_weight = 32;         // prefix tokens that a second of waiting is worth
    uint32_t key_kv_percent = 50;  // of the pool, for one key while others wait
    bool overlap = false;          // plan and submit a step while the one before it runs
    uint32_t retract_every = 0;    // for tests: take all blocks away after every so many steps
    std::function<void()> on_step_end = {};
};

// What another thread asks of the core.
struct Command {
    enum class Kind : uint8_t { kSubmit, kCancel, kPause, kResume, kFlushCache, kClose } kind;
    GenerationId id = 0;
    std::unique_ptr<GenerationRequest> request = {};
    std::shared_ptr<OutputSink> sink = {};
};

// One thread. Sinks are called on it, during obey() and step(). The parts outlive the core.
class EngineCore {
public:
    // Tokens at the start of a prompt that make two waiting jobs alike for the scheduler.
    static constexpr uint32_t kSharedTokens = 32;

    EngineCore(ModelRunner& runner, const tokenizer::Tokenizer& tokenizer,
               sched::Scheduler& scheduler, CoreOptions options);
    ~EngineCore();  // ends every job with kCancelled

    void obey(Command&& command);
    // One turn of the loop. True when there was something to do.
    bool step();
    // Ends every job with this error; the core refuses all further ones with it.
    void fail(const Error& error);
    const std::optional<Error>& failure() const noexcept { return failure_; }

    // Counters now; the thread's own figures (readiness, age, busy) are the caller's.
    void fill(EngineStats& stats) const;
    bool is_idle() const noexcept { return jobs_.empty(); }
    // Every rule of ownership of blocks; empty when it holds. For tests.
    std::string check() const;

private:
    // Jobs, in engine_core.cpp.
    void submit(Command&& command);
    void cancel(GenerationId id);
    void pause(GenerationId id, bool paused);
    std::optional<Error> refusal_of(const GenerationRequest& request) const;
    void finish(Job& job, FinishReason reason, std::optional<Error> error = {},
                std::string text = {}, std::vector<OutputToken> tokens = {});
    void expire();
    void remove_finished();

    // The cache, in engine_cache.cpp.
    void admit(Job& job);
    bool make_room(Job& job, uint32_t tokens);
    void share_prefix(Job& job);
    void release(Job& job, bool keep);
    void retract(Job& job);
    const kv::RadixTree::Peek& cached_of(Job& job);

    // The loop, in step.cpp.
    struct Row {
        Job* job;
        uint32_t tokens;    // computed by the step
        int32_t logit_row;  // -1: draws nothing
    };
    struct Flight {
        uint64_t number = 0;
        std::vector<Row> rows;
        uint32_t prefill_tokens = 0, decode_rows = 0;
        uint64_t context_tokens = 0;
        Clock::time_point submitted;
    };
    void build_view();
    void apply_preemptions();
    bool collect(Flight& flight);
    bool unblock();
    Status launch(Flight& flight);
    Status land();
    Status run_embeddings(Flight& flight);
    void take_token(Job& job, int32_t token, std::span<const float> logits);
    void after_failure(const Error& error, Flight& flight);

    ModelRunner& runner_;
    const tokenizer::Tokenizer& tokenizer_;
    sched::Scheduler& scheduler_;
    CoreOptions options_;
    kv::RadixTree tree_;

    std::deque<std::unique_ptr<Job>> jobs_;  // in order of arrival
    std::unordered_map<GenerationId, Job*> by_id_;
    std::unordered_map<std::string, uint32_t> keys_;  // cache scope -> small number
    std::optional<Error> failure_;
    bool is_closed_ = false;
    bool has_finished_ = false;

    sched::SchedView view_;
    sched::SchedPlan plan_;
    std::vector<Job*> view_jobs_;  // row of the view -> job
    std::vector<StepItem> items_;
    std::deque<Flight> flights_;  // oldest first
    std::vector<float> row_;      // logits being changed
    Clock::time_point landed_;    // when the last step ended

    uint64_t flights_launched_ = 0, steps_ = 0;
    uint64_t prompt_tokens_ = 0, cached_tokens_ = 0, output_tokens_ = 0;
    uint64_t retractions_ = 0, finished_ = 0, cancelled_ = 0, failed_ = 0;
};

}  // namespace tenon::engine
