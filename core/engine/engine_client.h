// An engine as the server sees it: in this process or in another one.
#pragma once

#include "core/engine/generation.h"

#include <memory>
#include <string>
#include <vector>

namespace tenon::engine {

// Receives one sequence's output. Calls are serial, on a thread of the engine or of its link: they
// must not block. Kept alive by the client until the finish.
class OutputSink {
public:
    virtual ~OutputSink() = default;
    virtual void on_delta(OutputDelta&& delta) = 0;
    // The engine died with this sequence unfinished. True: forget what came and compute it again
    // from the start. False: on_delta follows at once with a kDeviceLost finish.
    virtual bool on_engine_lost() = 0;
};

// What does not change once an engine is ready.
struct EngineInfo {
    std::string model_name;  // general.name of the file, else its file name
    std::string architecture;
    uint64_t parameters = 0;
    uint32_t vocab_size = 0;  // width of the logits: token ids are 0 .. vocab_size - 1
    uint32_t context_length = 0;
    uint32_t max_running_requests = 0;
    uint32_t block_tokens = 0;
    uint32_t kv_blocks = 0;
    uint32_t embedding_size = 0;
    std::string device, backend, policy;
    bool deterministic = false;
    std::string memory_json;  // the memory plan, term by term
};

// A snapshot, at most one step old.
struct EngineStats {
    bool is_ready = false;  // a token came out, and work makes progress
    std::string not_ready;  // why: "loading", "restarting", "stalled", ...; empty when ready
    uint32_t running = 0, waiting = 0, paused = 0;
    uint32_t blocks_free = 0, blocks_cached = 0, blocks_used = 0;  // their sum is kv_blocks
    uint64_t steps = 0, progress = 0;  // progress counts inside a step as well
    uint64_t prompt_tokens = 0, cached_tokens = 0, output_tokens = 0;  // since start
    uint64_t retractions = 0, evicted_blocks = 0, plans_refused = 0;
    uint64_t finished = 0, cancelled = 0, failed = 0;
    uint64_t restarts = 0;
    double new_token_ratio = 0;
    double busy_ratio = 0;  // share of the last 10 s inside steps
    double last_step_age_ms = 0;
    double tokens_per_second = 0;  // output, over the last 10 s
    std::string effective_policy;
};

// Thread-safe.
class EngineClient {
public:
    virtual ~EngineClient() = default;

    // Returns at once; every later fact about the request, errors included, reaches the sink, which
    // gets exactly one finish.
    virtual void submit(GenerationRequest request, std::shared_ptr<OutputSink> sink) = 0;
    // The finish (kCancelled) comes within a step. An unknown id is ignored.
    virtual void cancel(GenerationId id) = 0;
    // A paused sequence keeps its blocks and is not scheduled.
    virtual void pause(GenerationId id, bool paused) = 0;
    // Drops every cached prefix that no running sequence uses.
    virtual void flush_cache() = 0;

    // Empty until the engine was ready once.
    virtual std::shared_ptr<const EngineInfo> info() const = 0;
    virtual EngineStats stats() const = 0;
    // Refuses new requests (kBusy) and ends when the running ones have; false when `budget_ms` was
    // too short: the rest was ended with kCancelled.
    virtual bool drain(uint32_t budget_ms) = 0;
};

}  // namespace tenon::engine
