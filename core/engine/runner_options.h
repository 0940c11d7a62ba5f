// What a runner is made for: bounds of its steps, numbers it computes in, where else nodes may run.
#pragma once

#include "core/host/backend.h"
#include "core/host/fallback_plan.h"
#include "core/model/model.h"

#include <cstdint>
#include <functional>
#include <string>

namespace tenon::engine {

// Tokens of a KV block: the grain of sharing a prefix.
inline constexpr uint32_t kBlockTokens = 16;

// Blocks that hold the positions of one sequence.
constexpr int64_t blocks_of(uint32_t context_length) {
    return (int64_t{context_length} + kBlockTokens - 1) / kBlockTokens;
}

// A device that runs what the first one cannot.
struct SecondDevice {
    host::Device device;
    std::string name;  // of its backend
};

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
    // A device beside the one that `first` describes, for nodes which that one does not take. Asked
    // only where fallback allows it and a node needs it; may be empty.
    std::function<Result<SecondDevice>(const tenon_device_info& first)> open_second;
    uint32_t kv_blocks = 0;            // of the pool; 0: sequences_max whole contexts
    bool embeddings = false;           // prepare the program of embed() as well
    uint64_t shuffle_blocks_seed = 0;  // other than 0: hand out KV blocks in random order
    const uint32_t* cancel = nullptr;  // polled during a step; must outlive the runner
    uint64_t* progress = nullptr;  // raised by the device within a step; must outlive the runner
    std::function<void(uint64_t done, uint64_t total)> on_load;  // stored bytes

    bool draws() const noexcept { return end != model::StepShape::End::kLogits; }
};

}  // namespace tenon::engine
