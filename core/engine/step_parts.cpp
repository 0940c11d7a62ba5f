#include "core/engine/step_parts.h"

#include "core/engine/step_program.h"
#include "core/ops/cut.h"
#include "core/ops/node_view.h"

#include <algorithm>
#include <chrono>

namespace tenon::engine {

namespace {

// Calls `use(value)` for each value that node `index` reads, `make(value)` for each that it writes.
template <class Use, class Make>
void visit_values(const tenon_program& program, uint32_t index, Use&& use, Make&& make) {
    const tenon_node& node = ops::node_at(program, index);
    for (uint32_t port = 0; port < node.n_inputs; ++port) {
        if (node.inputs[port] != TENON_NONE) use(node.inputs[port]);
    }
    for (uint32_t port = 0; port < node.n_outputs; ++port) {
        if (node.outputs[port] != TENON_NONE) make(node.outputs[port]);
    }
}

}  // namespace

PrepareArguments::PrepareArguments(const RunnerOptions& options, const StepHandles& handles)
    : handles_(handles),
      compute_(options.compute),
      max_{options.step_tokens_max, options.sequences_max, options.logit_rows_max},
      buckets_{{max_}, {one_}} {
    for (uint32_t i = 0; i < kSymbols; ++i)
        one_[i] = std::min<int64_t>(max_[i], 1);
    if (options.deterministic) handles_.flags |= TENON_PREPARE_DETERMINISTIC;
}

tenon_prepare PrepareArguments::how() const noexcept {
    tenon_prepare how{};
    how.flags = handles_.flags;
    how.compute = compute_;
    how.n_buckets = 2;
    how.buckets = buckets_;
    how.weights = handles_.weights;
    how.kv = handles_.kv;
    return how;
}

uint32_t PrepareArguments::bucket_for(const int64_t* symbols) noexcept {
    return std::all_of(symbols, symbols + kSymbols, [](int64_t value) { return value <= 1; }) ? 1
                                                                                              : 0;
}

StepParts::StepParts(const host::Device& device, SecondDevice second, const tenon_program& view,
                     host::FallbackPlan plan)
    : device_(device), second_(std::move(second)), view_(view), plan_(std::move(plan)) {
    for (const host::Partition& partition : plan_.partitions) {
        Part& part = parts_.emplace_back();
        part.device = partition.device;
        part.first = partition.first_node;
        part.count = partition.n_nodes;
    }
}

// Values that one part makes and another reads get slots behind the program's own; a slot is used
// again once its last reader has run.
void StepParts::assign_slots(const int64_t* symbols) {
    slot_of_.assign(view_.n_values, TENON_NONE);
    slot_bytes_.assign(view_.n_slots, 0);
    std::vector<uint32_t> maker(view_.n_values, TENON_NONE), last(view_.n_values, 0);
    for (uint32_t p = 0; p < parts_.size(); ++p) {
        for (uint32_t i = parts_[p].first; i < parts_[p].first + parts_[p].count; ++i)
            visit_values(
                view_, i, [&](uint32_t value) { last[value] = p; },
                [&](uint32_t value) { maker[value] = p; });
    }
    std::vector<uint32_t> free_after;  // of each slot behind view_.n_slots: part of its last reader
    for (uint32_t p = 0; p < parts_.size(); ++p) {
        for (uint32_t value = 0; value < view_.n_values; ++value) {
            const bool is_temporary = ops::value_at(view_, value).kind == TENON_VALUE_TEMP;
            if (!is_temporary || maker[value] != p || last[value] <= p) continue;
            const auto found = std::find_if(free_after.begin(), free_after.end(),
                                            [&](uint32_t part) { return part < p; });
            const auto at = static_cast<uint32_t>(found - free_after.begin());
            if (found == free_after.end()) {
                free_after.push_back(0);
                slot_bytes_.push_back(0);
            }
            free_after[at] = last[value];
            slot_of_[value] = view_.n_slots + at;
            uint64_t& bytes = slot_bytes_[slot_of_[value]];
            bytes = std::max(bytes, ops::bytes_of(ops::value_at(view_, value), symbols));
        }
    }
}

// Which slots travel before each part, and after the last one.
void StepParts::plan_carrying() {
    std::vector<bool> is_at[2];
    for (auto& list : is_at)
        list.assign(slot_bytes_.size(), false);
    std::fill_n(is_at[0].begin(), view_.n_slots, true);
    const auto slot_of = [&](uint32_t index) {
        const tenon_value& value = ops::value_at(view_, index);
        const bool bound = value.kind == TENON_VALUE_INPUT || value.kind == TENON_VALUE_OUTPUT;
        return bound ? value.slot : slot_of_[index];
    };
    std::vector<Carried> written_there;
    for (Part& part : parts_) {
        const uint32_t here = part.device;
        std::vector<uint32_t> made;
        for (uint32_t i = part.first; i < part.first + part.count; ++i) {
            visit_values(
                view_, i,
                [&](uint32_t value) {
                    const uint32_t slot = slot_of(value);
                    const bool own = std::find(made.begin(), made.end(), value) != made.end();
                    if (slot == TENON_NONE || own || is_at[here][slot]) return;
                    part.carried.push_back({slot, value});
                    is_at[here][slot] = true;
                },
                [&](uint32_t value) { made.push_back(value); });
        }
        for (const uint32_t value : made) {
            const uint32_t slot = slot_of(value);
            if (slot == TENON_NONE) continue;
            is_at[here][slot] = true;
            is_at[1 - here][slot] = false;
            if (here == 1 && ops::value_at(view_, value).kind == TENON_VALUE_OUTPUT)
                written_there.push_back({slot, value});
        }
    }
    for (const Carried& output : written_there) {
        if (!is_at[0][output.slot]) outputs_.push_back(output);
    }
}

Status StepParts::load_weights(const model::Model& model, bool measured) {
    uint64_t stored = 0;
    for (const uint32_t entry : entries_)
        stored += weight_of(model.weights()[entry], measured).plane_bytes[0];
    TENON_TRY(weights_, second_.device.weights(static_cast<uint32_t>(entries_.size()), stored));
    for (const uint32_t entry : entries_) {
        TENON_TRY([[maybe_unused]] const uint32_t there,
                  weights_.put(weight_of(model.weights()[entry], measured)));
    }
    TENON_TRY(const tenon_weights_info info, weights_.finish());
    elsewhere_bytes_ += info.device_bytes;
    return {};
}

Status StepParts::prepare(const model::Model& model, const PrepareArguments& arguments) {
    assign_slots(arguments.symbols());
    plan_carrying();
    for (Part& part : parts_)
        part.program = ops::cut_nodes(view_, part.first, part.count, slot_of_,
                                      part.device == 1 ? &entries_ : nullptr);
    TENON_CHECK(load_weights(model, arguments.measures()));
    info_.flags = UINT32_MAX;
    for (Part& part : parts_) {
        tenon_prepare how = arguments.how();
        if (part.device == 1) {
            how.weights = weights_.handle();
            how.kv = nullptr;
        }
        const host::Device& device = part.device == 0 ? device_ : second_.device;
        TENON_TRY(part.exec, device.prepare(part.program->view(), how));
        const tenon_exec_info& info = part.exec.info();
        info_.flags &= info.flags;
        info_.n_phases += info.n_phases;
        if (part.device == 0) info_.scratch_bytes += info.scratch_bytes;
        if (part.device == 1) elsewhere_bytes_ += info.scratch_bytes;
    }
    // What travels has a size, whoever's slot it lies in.
    const auto widen = [&](const Carried& carried) {
        uint64_t& bytes = slot_bytes_[carried.slot];
        bytes = std::max(bytes, size_of(carried, arguments.symbols()));
    };
    for (const Part& part : parts_)
        std::for_each(part.carried.begin(), part.carried.end(), widen);
    std::for_each(outputs_.begin(), outputs_.end(), widen);
    for (uint32_t slot = 0; slot < slot_bytes_.size(); ++slot)
        elsewhere_bytes_ +=
            slot_bytes_[slot] * (slot < view_.n_slots ? 2 : 3);  // staged, and there
    if (arguments.measures()) return {};
    TENON_CHECK(make_buffers());
    TENON_CHECK(renew());
    return time_carrying(arguments.symbols());
}

Status StepParts::make_buffers() {
    const size_t n_slots = slot_bytes_.size();
    for (End& end : ends_) {
        end.buffers.resize(n_slots);
        end.handles.assign(n_slots, nullptr);
    }
    staged_.resize(n_slots);
    for (uint32_t slot = 0; slot < n_slots; ++slot) {
        if (slot_bytes_[slot] == 0) continue;
        staged_[slot].resize(slot_bytes_[slot]);
        for (uint32_t d = 0; d < 2; ++d) {
            if (d == 0 && slot < view_.n_slots) continue;  // the caller's
            const host::Device& device = d == 0 ? device_ : second_.device;
            TENON_TRY(ends_[d].buffers[slot],
                      device.buffer(slot_bytes_[slot], TENON_BUF_INPUT | TENON_BUF_OUTPUT));
            ends_[d].handles[slot] = ends_[d].buffers[slot].handle();
        }
    }
    return {};
}

// A failure stays with its timeline for good.
Status StepParts::renew() {
    second_queue_.reset();
    for (uint32_t d = 0; d < 2; ++d) {
        const host::Device& device = d == 0 ? device_ : second_.device;
        ends_[d].timeline.reset();
        ends_[d].ticks = 0;
        TENON_TRY(ends_[d].timeline, device.timeline());
    }
    TENON_TRY(second_queue_, second_.device.queue());
    return {};
}

// Carries the largest step's values once, there or back, between buffers of ours.
Status StepParts::time_carrying(const int64_t* symbols) {
    TENON_TRY(const host::Queue queue, device_.queue());
    uint64_t bytes = 0;
    const auto begin = std::chrono::steady_clock::now();
    for (const Part& part : parts_) {
        std::vector<Carried> own;
        for (const Carried& carried : part.carried) {
            if (carried.slot >= view_.n_slots) own.push_back(carried);
        }
        if (own.empty()) continue;
        End &from = ends_[1 - part.device], &to = ends_[part.device];
        const host::Queue& out = part.device == 0 ? second_queue_ : queue;
        const host::Queue& in = part.device == 0 ? queue : second_queue_;
        TENON_CHECK(take(from, out, own, symbols, {}));
        const tenon_point arrived = to.timeline.at(to.ticks + 1);
        TENON_CHECK(give(to, in, own, symbols, {&arrived, 1}));
        TENON_CHECK(to.timeline.wait(++to.ticks));
        for (const Carried& carried : own)
            bytes += size_of(carried, symbols);
    }
    const std::chrono::duration<double, std::nano> time = std::chrono::steady_clock::now() - begin;
    if (bytes > 0) ns_per_byte_ = time.count() / static_cast<double>(bytes);
    return {};
}

uint64_t StepParts::size_of(const Carried& carried, const int64_t* symbols) const {
    return ops::bytes_of(ops::value_at(view_, carried.value), symbols);
}

Status StepParts::take(End& from, const host::Queue& queue, const std::vector<Carried>& what,
                       const int64_t* symbols, std::span<const tenon_point> waits) {
    copies_.clear();
    for (const Carried& carried : what) {
        const uint64_t bytes = size_of(carried, symbols);
        if (bytes == 0) continue;
        tenon_copy copy{};
        copy.src = from.handles[carried.slot];
        copy.host_dst = staged_[carried.slot].data();
        copy.row_bytes = copy.dst_pitch = copy.src_pitch = bytes;
        copy.rows = 1;
        copies_.push_back(copy);
    }
    std::vector<tenon_point> after(waits.begin(), waits.end());
    after.push_back(from.last());
    const tenon_point taken = from.next();
    TENON_CHECK(queue.copy(copies_, {after, {&taken, 1}}));
    return from.timeline.wait(taken.value);
}

Status StepParts::give(End& to, const host::Queue& queue, const std::vector<Carried>& what,
                       const int64_t* symbols, std::span<const tenon_point> signals) {
    copies_.clear();
    for (const Carried& carried : what) {
        const uint64_t bytes = size_of(carried, symbols);
        if (bytes == 0) continue;
        tenon_copy copy{};
        copy.dst = to.handles[carried.slot];
        copy.host_src = staged_[carried.slot].data();
        copy.row_bytes = copy.dst_pitch = copy.src_pitch = bytes;
        copy.rows = 1;
        copies_.push_back(copy);
    }
    const tenon_point after = to.last();
    return queue.copy(copies_, {{&after, 1}, signals});
}

Status StepParts::run(const host::Queue& queue, const tenon_bind& bind, const host::Sync& sync) {
    if (bind.offsets != nullptr) {
        return Error{Code::kInvalid, "a step in parts takes whole buffers, not offsets into them"};
    }
    const Status status = run_parts(queue, bind, sync);
    if (!status.ok()) TENON_CHECK(renew());
    return status;
}

Status StepParts::run_parts(const host::Queue& queue, const tenon_bind& bind,
                            const host::Sync& sync) {
    std::copy_n(bind.buffers, view_.n_slots, ends_[0].handles.begin());
    const host::Queue* const queues[] = {&queue, &second_queue_};
    // What the caller waits for was raised on the first device's queue: its first work has them.
    std::vector<tenon_point> waits(sync.waits.begin(), sync.waits.end());
    for (const Part& part : parts_) {
        End &from = ends_[1 - part.device], &at = ends_[part.device];
        if (!part.carried.empty()) {
            const auto first = part.device == 1 ? std::exchange(waits, {}) : decltype(waits){};
            TENON_CHECK(take(from, *queues[1 - part.device], part.carried, bind.symbols, first));
            TENON_CHECK(give(at, *queues[part.device], part.carried, bind.symbols, {}));
        }
        tenon_bind piece = bind;
        piece.n_slots = part.program->view().n_slots;
        piece.buffers = at.handles.data();
        std::vector<tenon_point> after =
            part.device == 0 ? std::exchange(waits, {}) : decltype(waits){};
        after.push_back(at.last());
        const tenon_point ran = at.next();
        TENON_CHECK(queues[part.device]->submit(part.exec, piece, {after, {&ran, 1}}));
    }
    TENON_CHECK(take(ends_[1], second_queue_, outputs_, bind.symbols, {}));
    return give(ends_[0], queue, outputs_, bind.symbols, sync.signals);
}

std::vector<std::string> StepParts::report() const {
    return plan_.report(view_, {second_.name, ns_per_byte_});
}

}  // namespace tenon::engine
