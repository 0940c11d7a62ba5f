#include "core/engine/placed_step.h"

#include "core/engine/step_parts.h"
#include "core/host/fallback_plan.h"
#include "core/ops/decompose.h"
#include "core/ops/node_view.h"
#include "core/ops/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace tenon::engine {

namespace {

constexpr int kDecomposeRounds = 4;  // a part may have parts; no op nests deeper than two

bool reads_pool(const tenon_program& program, uint32_t index) {
    const tenon_node& node = ops::node_at(program, index);
    for (uint32_t port = 0; port < node.n_inputs; ++port) {
        if (node.inputs[port] == TENON_NONE) continue;
        const uint32_t kind = ops::value_at(program, node.inputs[port]).kind;
        if (kind == TENON_VALUE_KV || kind == TENON_VALUE_STATE) return true;
    }
    return false;
}

// What the second device says, but that pools stay where they are.
Result<std::vector<tenon_verdict>> ask_second(const host::Device& second,
                                              const tenon_program& program, uint32_t compute) {
    TENON_TRY(std::vector<tenon_verdict> verdicts, second.query(program, compute));
    for (uint32_t i = 0; i < program.n_nodes; ++i) {
        if (reads_pool(program, i)) verdicts[i].kind = TENON_VERDICT_NO;
    }
    return verdicts;
}

bool refuses_any(const std::vector<tenon_verdict>& verdicts) {
    return std::any_of(verdicts.begin(), verdicts.end(),
                       [](const tenon_verdict& v) { return v.kind == TENON_VERDICT_NO; });
}

struct Placed {
    ops::Program program;
    host::FallbackPlan plan;
    std::optional<SecondDevice> second;
};

Result<Placed> place(const host::Device& device, ops::Program program, const RunnerOptions& options,
                     std::vector<std::string>& placement) {
    std::optional<SecondDevice> second;
    for (int round = 0;; ++round) {
        const tenon_program& view = program.view();
        std::vector<std::vector<tenon_verdict>> verdicts(1);
        TENON_TRY(verdicts[0], device.query(view, options.compute));
        if (refuses_any(verdicts[0]) && options.fallback != host::Fallback::kError &&
            options.open_second) {
            if (!second.has_value()) {
                TENON_TRY(const tenon_device_info info, device.stat());
                TENON_TRY(second, options.open_second(info));
            }
            TENON_TRY(verdicts.emplace_back(), ask_second(second->device, view, options.compute));
        }
        const auto can_decompose = [&](uint32_t index) {
            std::vector<bool> chosen(view.n_nodes);
            chosen[index] = true;
            return round < kDecomposeRounds && ops::decompose_nodes(view, chosen).ok();
        };
        TENON_TRY(host::FallbackPlan plan,
                  host::plan_fallback(view, verdicts, options.fallback, can_decompose));
        if (!plan.needs_rewrite()) {
            return Placed{std::move(program), std::move(plan), std::move(second)};
        }
        for (const std::string& line : plan.report(view))
            placement.push_back(line);
        TENON_TRY(program, ops::decompose_nodes(view, plan.decompose()));
    }
}

}  // namespace

PlacedStep::PlacedStep() = default;
PlacedStep::PlacedStep(PlacedStep&&) noexcept = default;
PlacedStep& PlacedStep::operator=(PlacedStep&&) noexcept = default;
PlacedStep::~PlacedStep() = default;

uint64_t PlacedStep::elsewhere_bytes() const noexcept {
    return parts_ == nullptr ? 0 : parts_->elsewhere_bytes();
}

Result<PlacedStep> PlacedStep::prepare(const host::Device& device, const model::Model& model,
                                       ops::Program program, const RunnerOptions& options,
                                       const StepHandles& handles) {
    TENON_CHECK(ops::verify_program(program.view()));
    PlacedStep step;
    TENON_TRY(Placed placed, place(device, std::move(program), options, step.placement_));
    step.program_ = std::move(placed.program);
    const PrepareArguments arguments(options, handles);
    if (placed.plan.partitions.size() == 1 && placed.plan.partitions[0].device == 0) {
        TENON_TRY(step.exec_, device.prepare(step.program_->view(), arguments.how()));
        step.info_ = step.exec_.info();
        return step;
    }
    step.parts_ = std::make_unique<StepParts>(device, std::move(*placed.second),
                                              step.program_->view(), std::move(placed.plan));
    TENON_CHECK(step.parts_->prepare(model, arguments));
    step.info_ = step.parts_->info();
    for (std::string& line : step.parts_->report())
        step.placement_.push_back(std::move(line));
    return step;
}

Status PlacedStep::submit(const host::Queue& queue, tenon_bind bind, const host::Sync& sync) {
    bind.bucket = PrepareArguments::bucket_for(bind.symbols);
    if (parts_ != nullptr) return parts_->run(queue, bind, sync);
    bind.n_slots = program_->view().n_slots;
    return queue.submit(exec_, bind, sync);
}

}  // namespace tenon::engine
