// A step in parts on two devices: what placed_step.h makes of a plan that leaves the first one.
#pragma once

#include "core/engine/placed_step.h"
#include "core/host/fallback_plan.h"

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace tenon::engine {

// tenon_prepare of a step, with the arrays that it points to. A backend may record each bucket with
// kernels of its size: 0 is the largest step, 1 the one token that a lone sequence decodes.
class PrepareArguments {
public:
    PrepareArguments(const RunnerOptions& options, const StepHandles& handles);
    PrepareArguments(const PrepareArguments&) = delete;
    PrepareArguments& operator=(const PrepareArguments&) = delete;
    tenon_prepare how() const noexcept;
    bool measures() const noexcept { return (handles_.flags & TENON_PREPARE_MEASURE) != 0; }

    // Largest value of each symbol.
    const int64_t* symbols() const noexcept { return max_; }
    // The smallest bucket that these symbol values fit in.
    static uint32_t bucket_for(const int64_t* symbols) noexcept;

private:
    StepHandles handles_;
    uint32_t compute_;
    static constexpr uint32_t kSymbols = 3;  // model::StepShape
    int64_t max_[kSymbols], one_[kSymbols];
    tenon_bucket buckets_[2];
};

// Neither copied nor moved. `device` and the program behind `view` outlive it.
class StepParts {
public:
    StepParts(const host::Device& device, SecondDevice second, const tenon_program& view,
              host::FallbackPlan plan);
    StepParts(const StepParts&) = delete;
    StepParts& operator=(const StepParts&) = delete;

    Status prepare(const model::Model& model, const PrepareArguments& arguments);
    // Runs the step; the first device's last part is queued when this returns, everything else has
    // ended. After an error the next step starts afresh.
    Status run(const host::Queue& queue, const tenon_bind& bind, const host::Sync& sync);

    const tenon_exec_info& info() const noexcept { return info_; }
    uint64_t elsewhere_bytes() const noexcept { return elsewhere_bytes_; }
    // One line for each node that runs on the second device: why, what it moves, how long that took
    // when it was tried.
    std::vector<std::string> report() const;

private:
    // A slot whose contents the other device needs, and the value that lies there.
    struct Carried {
        uint32_t slot, value;
    };
    struct Part {
        uint32_t device = 0;
        uint32_t first = 0, count = 0;  // nodes
        std::vector<Carried> carried;   // to `device`, before it runs
        std::optional<ops::Program> program;
        host::Exec exec;
    };
    // One device's end: a buffer of ours for each slot that needs one there.
    struct End {
        std::vector<host::Buffer> buffers;
        std::vector<tenon_buffer*> handles;
        host::Timeline timeline;
        uint64_t ticks = 0;  // reached by the last piece of work that was asked to raise it

        tenon_point last() const noexcept { return timeline.at(ticks); }
        tenon_point next() noexcept { return timeline.at(++ticks); }
    };

    void assign_slots(const int64_t* symbols);
    void plan_carrying();
    Status load_weights(const model::Model& model, bool measured);
    Status make_buffers();
    Status renew();
    Status time_carrying(const int64_t* symbols);
    Status run_parts(const host::Queue& queue, const tenon_bind& bind, const host::Sync& sync);
    // From the device that `from` is the end of into host memory, behind all its work and `waits`;
    // ended on return.
    Status take(End& from, const host::Queue& queue, const std::vector<Carried>& what,
                const int64_t* symbols, std::span<const tenon_point> waits);
    // From there on to the other device, behind all its work.
    Status give(End& to, const host::Queue& queue, const std::vector<Carried>& what,
                const int64_t* symbols, std::span<const tenon_point> signals);
    uint64_t size_of(const Carried& carried, const int64_t* symbols) const;

    const host::Device& device_;
    SecondDevice second_;
    const tenon_program& view_;
    host::FallbackPlan plan_;
    tenon_exec_info info_{};
    uint64_t elsewhere_bytes_ = 0;
    double ns_per_byte_ = 0;  // of carrying

    std::vector<uint32_t> slot_of_;     // of each value that crosses between parts, or TENON_NONE
    std::vector<uint64_t> slot_bytes_;  // at the largest step; of a slot that nobody carries 0
    std::vector<Carried> outputs_;      // of the second device, to be brought back at the end
    std::vector<uint32_t> entries_;     // of the model's weights that the second device has
    std::vector<std::vector<std::byte>> staged_;  // of each slot
    std::vector<tenon_copy> copies_;              // of one take or give
    host::WeightSet weights_;                     // on the second device
    End ends_[2];
    host::Queue second_queue_;
    std::vector<Part> parts_;  // freed first
};

}  // namespace tenon::engine
