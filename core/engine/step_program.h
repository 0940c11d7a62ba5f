// The largest step of a model on a device: its shape, its buffers, its prepared program. The runner
// makes them; the memory plan measures the same ones before anything is loaded.
#pragma once

#include "core/engine/model_runner.h"

#include <string>
#include <vector>

namespace tenon::engine {

// With the bounds that follow from others: a step takes every sequence, and a row of each.
RunnerOptions normalised(RunnerOptions options);

// Of normalised options; `end` as given there.
model::StepShape shape_of(const RunnerOptions& options);

// Bytes of a slot of step_slots.h at the largest step; 0 where the programs have no such slot.
uint64_t slot_bytes(uint32_t slot, const RunnerOptions& options, const model::ModelConfig& config);
bool is_output(uint32_t slot);

// A weight as a set takes it. Views `spec`; with `measured` it has no planes.
tenon_weight weight_of(const model::WeightSpec& spec, bool measured = false);

// A pool of `blocks` blocks.
tenon_kv_desc kv_desc_of(const model::ModelConfig& config, tenon_dtype dtype, uint32_t blocks);

struct StepHandles {
    tenon_weights* weights = nullptr;
    tenon_kv_pool* kv = nullptr;
    uint32_t flags = 0;  // beside what the options say
};

// Verifies `program`, rewrites it by the ladder of host/fallback_plan.h with this one device (what
// it does not take whole is decomposed and asked for again) and prepares it. Appends one line to
// `placement` for each node that the device does not run as the model wrote it. kUnsupported lists
// the nodes that run nowhere.
Result<host::Exec> prepare_step(const host::Device& device, ops::Program& program,
                                const RunnerOptions& options, const StepHandles& handles,
                                std::vector<std::string>& placement);

}  // namespace tenon::engine
