// Runs steps of one model on one device: the only place where tokens become buffers.
//
// A step takes any mix of sequences, each with one or more new tokens (prefill and decode alike),
// writes their keys and values into blocks of the KV pool, and returns logits or drawn tokens for
// the rows that were asked for.
#pragma once

#include "core/formats/gguf.h"
#include "core/host/backend.h"
#include "core/host/fallback_plan.h"
#include "core/kv/block_table.h"
#include "core/model/model.h"
#include "core/model/step_slots.h"
#include "core/sampling/sampling_params.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace tenon::engine {

// Tokens of a KV block: the grain of sharing a prefix.
inline constexpr uint32_t kBlockTokens = 16;

// Blocks that hold the positions of one sequence.
constexpr int64_t blocks_of(uint32_t context_length) {
    return (int64_t{context_length} + kBlockTokens - 1) / kBlockTokens;
}

struct RunnerOptions {
    uint32_t context_length = 2048;  // positions of each sequence
    uint32_t sequences_max = 1;      // sequences of a step, and of the KV pool
    uint32_t step_tokens_max = 512;  // tokens of a step
    uint32_t logit_rows_max = 1;     // rows of a step
    model::StepShape::End end = model::StepShape::End::kSample;
    tenon_compute compute = TENON_COMPUTE_FAST;
    tenon_dtype kv_dtype = TENON_F16;
    bool deterministic = false;
    host::Fallback fallback = host::Fallback::kError;
    uint64_t shuffle_blocks_seed = 0;  // other than 0: hand out KV blocks in random order
    const uint32_t* cancel = nullptr;  // polled during a step; must outlive the runner
    std::function<void(uint64_t done, uint64_t total)> on_load;  // stored bytes
};

// Memory that the runner holds, in bytes.
struct RunnerMemory {
    uint64_t weights = 0;
    uint64_t kv_pool = 0;
    uint64_t scratch = 0;  // of the prepared program
    uint64_t buffers = 0;  // inputs and outputs of a step
};

// One sequence's place in the KV pool. Made by ModelRunner::open; dies before its runner.
class Sequence {
public:
    uint32_t length() const noexcept { return length_; }  // positions written
    // Forgets every position from `length` on and gives their blocks back.
    void truncate(uint32_t length);

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
    uint32_t logit_rows = 1;
    sampling::SamplingParams sampling = {};  // of all its rows, when the runner draws tokens
};

// One thread. The file behind `model` and `gguf` may go once create() returned.
class ModelRunner {
public:
    // Loads every weight (source pages are let go one by one), allocates the KV pool and prepares
    // the program. kUnsupported lists the nodes that the device does not run.
    static Result<std::unique_ptr<ModelRunner>> create(host::Device device,
                                                       const model::Model& model,
                                                       const formats::LoadedGguf& source,
                                                       RunnerOptions options);
    ~ModelRunner();

    Result<Sequence> open();

    // One step. Every item has at least one token and one row; sums stay within the options. On
    // error no sequence has grown. kCancelled when the cancel word was set; kData when a token is to
    // be drawn and no logit is finite.
    Status step(std::span<const StepItem> items);
    // Feeds `tokens` in chunks of at most step_tokens_max; rows() holds the last position
    // afterwards.
    Status prefill(Sequence& sequence, std::span<const int32_t> tokens,
                   const sampling::SamplingParams& sampling = {});

    // Of the last step, in item order: f32[rows, vocab_size] when it ends in logits, else empty.
    std::span<const float> logits() const noexcept { return logits_; }
    // Of the last step, in item order, when it draws tokens.
    std::span<const int32_t> sampled() const noexcept { return sampled_; }

    const RunnerMemory& memory() const noexcept { return memory_; }
    const RunnerOptions& options() const noexcept { return options_; }
    const host::Device& device() const noexcept { return device_; }
    const tenon_exec_info& exec_info() const noexcept { return exec_.info(); }
    const ops::Program& program() const noexcept { return program_; }
    // One line for each node that the device does not run as the model wrote it.
    const std::vector<std::string>& placement() const noexcept { return placement_; }

private:
    ModelRunner(host::Device device, const model::Model& model, RunnerOptions options,
                ops::Program program);
    Status load_weights(const model::Model& model, const formats::LoadedGguf& source);
    Status make_cache(const model::ModelConfig& config);
    Status make_buffers();
    Status place_nodes();
    Status prepare();
    Status check(std::span<const StepItem> items) const;
    Status fill(std::span<const StepItem> items);
    Status run(size_t tokens, size_t sequences, size_t rows);
    Status renew_queue();

    RunnerOptions options_;
    uint32_t vocab_size_;
    int64_t blocks_per_sequence_;
    RunnerMemory memory_;
    std::vector<std::string> placement_;
    std::unique_ptr<kv::BlockPool> blocks_;

    // Host side of a step's inputs; their capacity is the options'.
    std::vector<int32_t> token_ids_, positions_, kv_slots_, block_table_, kv_len_, q_start_, rows_;
    std::vector<float> temperature_, top_p_, min_p_;
    std::vector<int32_t> top_k_, sample_position_;
    std::vector<uint64_t> seed_;
    std::vector<float> logits_;
    std::vector<int32_t> sampled_;

    // Freed last to first.
    host::Device device_;
    ops::Program program_;
    host::WeightSet weights_;
    std::vector<uint32_t> entries_;
    host::KvPool kv_;
    host::Buffer buffers_[model::kStepSlotCount];
    host::Timeline timeline_;
    host::Queue queue_;
    host::Exec exec_;
    uint64_t ticks_ = 0;  // last value that the timeline was asked to reach
};

}  // namespace tenon::engine
