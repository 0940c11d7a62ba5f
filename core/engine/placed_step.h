// A step's program on the devices that run it: all of it on one, or, where fallback lets nodes that
// the first device does not take run on a second, in parts with their values carried through host
// memory between them.
//
// The KV pool, the bound buffers and the caller's queue are the first device's. What the second one
// holds (weights that its nodes read, buffers, a queue) belongs to the PlacedStep. A step in parts is
// run by submit() itself, which waits for every part that is followed by another: right, not fast.
#pragma once

#include "core/engine/runner_options.h"
#include "core/host/backend.h"
#include "core/model/model.h"
#include "core/ops/program.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tenon::engine {

class StepParts;

struct StepHandles {
    tenon_weights* weights = nullptr;
    tenon_kv_pool* kv = nullptr;
    uint32_t flags = 0;  // beside what the options say
};

// Move-only. One thread. Dies before the device, the weights and the pool that it was prepared with.
class PlacedStep {
public:
    PlacedStep();
    PlacedStep(PlacedStep&&) noexcept;
    PlacedStep& operator=(PlacedStep&&) noexcept;
    ~PlacedStep();

    // Verifies `program`, rewrites it by the ladder of host/fallback_plan.h and prepares what
    // becomes of it. kUnsupported lists the nodes that run nowhere. With TENON_PREPARE_MEASURE among
    // the flags nothing is loaded, and only the sizes are of use.
    static Result<PlacedStep> prepare(const host::Device& device, const model::Model& model,
                                      ops::Program program, const RunnerOptions& options,
                                      const StepHandles& handles);

    // One step. `bind` speaks of the program given to prepare(), without offsets; its n_slots and
    // its bucket are filled in here. The signals of `sync` are raised when the whole step has run.
    Status submit(const host::Queue& queue, tenon_bind bind, const host::Sync& sync);

    // On the first device: scratch and phases of all its parts, flags that each of them has.
    const tenon_exec_info& info() const noexcept { return info_; }
    // Bytes held for the second device: there, and on the host on the way to it.
    uint64_t elsewhere_bytes() const noexcept;
    // As it was placed.
    const ops::Program& program() const noexcept { return *program_; }
    // One line for each node that the first device does not run as the model wrote it.
    const std::vector<std::string>& placement() const noexcept { return placement_; }

private:
    std::optional<ops::Program> program_;
    tenon_exec_info info_{};
    std::vector<std::string> placement_;
    host::Exec exec_;                   // of a step in one part, else empty
    std::unique_ptr<StepParts> parts_;  // of a step in several, else null
};

}  // namespace tenon::engine
