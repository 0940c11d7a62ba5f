// What a model will hold in memory, term by term, before anything of it is loaded.
//
// Nothing is estimated that can be asked: the backend measures weights and programs (null planes and
// TENON_PREPARE_MEASURE of the ABI), so every term but `host` and `margin` is what the runner then
// holds.
#pragma once

#include "core/base/host_memory.h"
#include "core/config/fields.h"
#include "core/engine/model_runner.h"

#include <string>
#include <vector>

namespace tenon::engine {

// Names as in EngineConfig; 0 means: derive.
//
// max_running_requests: 32 on a CPU, 256 elsewhere, but so few that each can hold 512 tokens (or
// its whole context, where that is shorter).
// max_total_tokens: whatever mem_fraction_static leaves.
// mem_fraction_static: share of the device's whole memory for weights and KV pool. Derived: what
// scratch, buffers, host and margin leave of the memory that is free now; on a CPU, whose memory is
// everybody's, no more than max_running_requests sequences of min(context_length, 1024) tokens.
// context_length: what the model was trained for.
struct MemoryRequest {
    double mem_fraction_static = 0;
    uint32_t max_running_requests = 0;
    uint32_t max_total_tokens = 0;
    uint32_t context_length = 0;
    uint32_t chunked_prefill_size = 512;
};
MemoryRequest memory_request(const config::EngineConfig& config);

struct MemoryTerm {
    std::string name;  // weights, kv_pool, scratch, buffers, host, margin
    uint64_t bytes = 0;
    std::string formula;  // where the bytes come from, for people
};

// Bytes that there are, and who says so.
struct MemoryBudget {
    uint64_t total = 0;
    uint64_t available = 0;
    std::string source;  // "device 'NVIDIA H100'", "/sys/fs/cgroup/memory.max"
};

struct MemoryPlan {
    std::vector<MemoryTerm> terms;  // on the device; for a CPU all of them
    std::vector<MemoryTerm> host;   // beside a device with memory of its own; else empty
    MemoryBudget budget;
    MemoryBudget host_budget;  // of `host`
    uint64_t sum = 0;          // of `terms`
    RunnerOptions runner;      // what ModelRunner::create() is to be given
    uint32_t max_running_requests = 0;
    uint32_t kv_blocks = 0;
    uint64_t max_total_tokens = 0;  // of the KV pool

    uint64_t bytes(std::string_view term) const;  // 0 when there is none of that name
    std::string to_text() const;  // one line for each term, aligned; no newline at the end
    std::string to_json() const;  // one object
};

// Plans `model` on `device`, whose state is `info`; `host` is read_host_memory(). `options` say how
// steps end, compute, KV type and fallback; sizes come from `request`. Reads no weight.
//
// kConfig when a request contradicts the model (context_length beyond what it was trained for) or
// itself. kOomDevice or kOomHost, with every term and the sum, when it does not fit.
Result<MemoryPlan> plan_memory(const host::Device& device, const tenon_device_info& info,
                               const HostMemory& host, const model::Model& model,
                               RunnerOptions options, const MemoryRequest& request);

}  // namespace tenon::engine
