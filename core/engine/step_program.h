// The largest step of a model: its shape, its buffers, its weights as a backend takes them. The
// runner makes them; the memory plan measures the same ones before anything is loaded.
#pragma once

#include "core/engine/runner_options.h"
#include "core/model/model.h"
#include "core/model/step_slots.h"

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

}  // namespace tenon::engine
