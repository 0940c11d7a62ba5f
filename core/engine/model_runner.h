// Runs steps of one model on one device: the only place where tokens become buffers.
//
// A step takes any mix of sequences, each with one or more new tokens (prefill and decode alike),
// writes their keys and values into blocks of the KV pool, and returns logits or drawn tokens for
// the rows that were asked for.
#pragma once

#include "core/engine/placed_step.h"
#include "core/engine/runner_options.h"
#include "core/formats/gguf.h"
#include "core/host/backend.h"
#include "core/kv/block_table.h"
#include "core/model/model.h"
#include "core/model/step_slots.h"
#include "core/sampling/sampling_params.h"

#include <memory>
#include <span>
#include <vector>

namespace tenon::engine {

// Memory that the runner holds, in bytes.
struct RunnerMemory {
    uint64_t weights = 0;
    uint64_t kv_pool = 0;
    uint64_t scratch = 0;    // of the prepared program
    uint64_t buffers = 0;    // inputs and outputs of a step
    uint64_t elsewhere = 0;  // for nodes that a second device runs
};

// One sequence's place in the KV pool. Made by ModelRunner::open; dies before its runner.
class Sequence {
public:
    uint32_t length() const noexcept { return length_; }  // positions written
    // Forgets every position from `length` on and gives their blocks back.
    void truncate(uint32_t length);
    // Of an empty sequence: positions 0 .. length-1 are in `blocks`, which stay somebody else's.
    void adopt(std::span<const int32_t> blocks, uint32_t length);

    // Who owns which block of it. Whoever lets it borrow keeps these blocks' contents.
    kv::BlockTable& table() noexcept { return table_; }
    const kv::BlockTable& table() const noexcept { return table_; }

private:
    friend class ModelRunner;
    explicit Sequence(kv::BlockTable table) : table_(std::move(table)) {}
    kv::BlockTable table_;
    uint32_t length_ = 0;
};

// New tokens of one sequence. Of their positions the last logit_rows give a row.
struct StepItem {
    Sequence* sequence = nullptr;
    std::span<const int32_t> tokens;
    uint32_t logit_rows = 1;  // 0 is legal beside items that have some
    // Of all its rows, when the runner draws tokens; null is greedy. Only what the SAMPLE op knows:
    // penalties and biases are the caller's. Lives for the call.
    const sampling::SamplingParams* sampling = nullptr;
    // 0 or more: its one token is what this row of the step submitted before draws; `tokens` names
    // any legal one in its place.
    int32_t from_row = -1;
    bool wants_logits = false;  // kSampleAndLogits: row_logits() has its rows afterwards
};

// One thread. The file behind `model` and `gguf` may go once create() returned.
class ModelRunner {
public:
    // Loads every weight (source pages are let go one by one), allocates the KV pool and prepares
    // the program. kUnsupported lists the nodes that no device runs.
    static Result<std::unique_ptr<ModelRunner>> create(host::Device device,
                                                       const model::Model& model,
                                                       const formats::LoadedGguf& source,
                                                       RunnerOptions options);
    ~ModelRunner();

    Result<Sequence> open();

    // One step. Every item has at least one token, the step at least one row; sums stay within the
    // options. On error no sequence has grown. kCancelled when the cancel word was set.
    Status step(std::span<const StepItem> items);
    // The two halves of step(): submit() returns at once with the sequences grown, wait() ends the
    // oldest step that was submitted. At most kStepsInFlight are; their sequences live until wait().
    // On error every step in flight is undone.
    Status submit(std::span<const StepItem> items);
    Status wait();
    uint32_t in_flight() const noexcept { return in_flight_; }
    // One step of the embedding program over the items' tokens: embedding(i) is the pooled state of
    // item i's tokens of this step. No other step may be in flight.
    Status embed(std::span<const StepItem> items);
    // Feeds `tokens` in chunks of at most step_tokens_max; rows() holds the last position
    // afterwards.
    Status prefill(Sequence& sequence, std::span<const int32_t> tokens,
                   const sampling::SamplingParams& sampling = {});

    // Of the last step, in item order: f32[rows, vocab_size] when it ends in logits, else empty.
    std::span<const float> logits() const noexcept { return logits_; }
    // Of the last step, in item order, when it draws tokens; -1 where a logit is NaN or infinite.
    std::span<const int32_t> sampled() const noexcept { return sampled_; }
    // f32[vocab_size] of a row of the last step, empty unless its item wanted it.
    std::span<const float> row_logits(size_t row) const noexcept;
    // f32[hidden_size] of an item of the last embed().
    std::span<const float> embedding(size_t item) const noexcept;
    uint32_t vocab_size() const noexcept { return vocab_size_; }
    tenon_pool_kind pooling() const noexcept { return pooling_; }  // over the tokens of a step
    kv::BlockPool& blocks() noexcept { return *blocks_; }

    const RunnerMemory& memory() const noexcept { return memory_; }
    const RunnerOptions& options() const noexcept { return options_; }
    const host::Device& device() const noexcept { return device_; }
    const tenon_exec_info& exec_info() const noexcept { return step_.info(); }
    const ops::Program& program() const noexcept { return step_.program(); }
    // One line for each node that the device does not run as the model wrote it.
    const std::vector<std::string>& placement() const noexcept { return placement_; }

private:
    // Host side of one step, alive until it was waited for.
    struct Inputs {
        std::vector<int32_t> token_ids, positions, kv_slots, block_table, kv_len, q_start, rows;
        std::vector<float> temperature, top_p, min_p;
        std::vector<int32_t> top_k, sample_position;
        std::vector<uint64_t> seed;
        std::vector<int32_t> sampled;
        std::vector<float> logits;
        std::vector<int32_t> logit_place;                   // row -> row of `logits`, or -1
        std::vector<std::pair<Sequence*, uint32_t>> grown;  // and their length before
        uint64_t done = 0;  // value of the timeline at which its outputs are here
        void clear();
    };

    ModelRunner(host::Device device, const model::Model& model, RunnerOptions options);
    Status load_weights(const model::Model& model, const formats::LoadedGguf& source);
    Status make_cache(const model::ModelConfig& config);
    Status make_buffers(const model::ModelConfig& config);
    Result<PlacedStep> prepare(const model::Model& model, model::StepShape shape);
    Status check(std::span<const StepItem> items) const;
    Status grow(std::span<const StepItem> items, Inputs& in);
    void fill(std::span<const StepItem> items, Inputs& in) const;
    Status send(std::span<const StepItem> items, const Inputs& in, PlacedStep& step, bool samples,
                tenon_point& stepped);
    Status read(Inputs& in, tenon_point stepped);
    Status undo(Status status);
    Status renew_queue();

    RunnerOptions options_;
    uint32_t vocab_size_, hidden_size_;
    tenon_pool_kind pooling_;
    int64_t blocks_per_sequence_;
    RunnerMemory memory_;
    std::vector<std::string> placement_;
    std::unique_ptr<kv::BlockPool> blocks_;

    static constexpr uint32_t kStepsInFlight = 2;
    Inputs inputs_[kStepsInFlight];
    uint32_t oldest_ = 0, in_flight_ = 0;
    std::vector<float> logits_, embeddings_;
    std::vector<int32_t> sampled_, logit_place_;

    // Freed last to first.
    host::Device device_;
    host::WeightSet weights_;
    host::KvPool kv_;
    host::Buffer buffers_[model::kStepSlotCount];
    host::Timeline timeline_;
    host::Queue queue_;
    PlacedStep step_, embed_step_;
    uint64_t ticks_ = 0;  // last value that the timeline was asked to reach
};

}  // namespace tenon::engine
