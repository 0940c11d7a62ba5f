#include "tests/conformance/trial.h"

#include <fmt/format.h>

#include <atomic>
#include <cmath>

#include "core/formats/format_list.h"
#include "core/ops/node_view.h"

namespace tenon::conformance {
namespace {

constexpr uint64_t kGuardBytes = 64;
constexpr std::byte kGuard{0xA5};
constexpr uint64_t kWaitNs = uint64_t{20} * 1000 * 1000 * 1000;

std::atomic<uint64_t> g_compared{0};
std::atomic<uint64_t> g_left_out{0};

uint64_t element_bytes(uint32_t dtype) { return dtype == TENON_U64 || dtype == TENON_I64 ? 8 : 4; }

uint64_t bytes_of(const tenon_value& value, const int64_t* symbols) {
    uint64_t bytes = element_bytes(value.dtype);
    for (uint32_t axis = 0; axis < value.rank; ++axis) {
        bytes *= static_cast<uint64_t>(ops::extent_of(ops::dim_of(value.dims[axis]), symbols));
    }
    return bytes;
}

const tenon_value* value_of_slot(const tenon_program& program, uint32_t slot) {
    for (uint32_t i = 0; i < program.n_values; ++i) {
        const tenon_value& value = ops::value_at(program, i);
        const bool bound = value.kind == TENON_VALUE_INPUT || value.kind == TENON_VALUE_OUTPUT;
        if (bound && value.slot == slot) return &value;
    }
    return nullptr;
}

Result<host::WeightSet> put_weights(const Trial& trial) {
    const host::Device& device = Target::instance().device();
    uint64_t total = 0;
    for (const TrialWeight& weight : trial.weights)
        total += weight.bytes.size();
    TENON_TRY(host::WeightSet set,
              device.weights(static_cast<uint32_t>(trial.weights.size()), total));
    for (uint32_t i = 0; i < trial.weights.size(); ++i) {
        const TrialWeight& from = trial.weights[i];
        tenon_weight weight{};
        weight.uses = from.uses;
        weight.name = {from.name.data(), from.name.size()};
        weight.format = &from.format;
        weight.rows = from.rows;
        weight.cols = from.cols;
        weight.n_planes = 1;
        weight.fuse_group = from.fuse_group;
        weight.planes[0] = from.bytes.data();
        weight.plane_bytes[0] = from.bytes.size();
        TENON_TRY(const uint32_t entry, set.put(weight));
        if (entry != i) {
            return Error{Code::kInternal, fmt::format("put number {} became entry {}", i, entry)};
        }
    }
    TENON_CHECK(status_of(set.finish()));
    return set;
}

}  // namespace

uint32_t Trial::add_floats(std::string name, const std::vector<float>& numbers) {
    TrialWeight weight;
    weight.name = std::move(name);
    weight.format = formats::find_format("f32")->format;
    weight.rows = 1;
    weight.cols = static_cast<int64_t>(numbers.size());
    weight.uses = TENON_USE_ELEMENTWISE;
    weight.bytes.resize(numbers.size() * sizeof(float));
    std::memcpy(weight.bytes.data(), numbers.data(), weight.bytes.size());
    return add(std::move(weight));
}

void Step::prepare_outputs(const tenon_program& program) {
    slots.resize(program.n_slots);
    for (uint32_t slot = 0; slot < program.n_slots; ++slot) {
        const tenon_value* value = value_of_slot(program, slot);
        if (value == nullptr || value->kind != TENON_VALUE_OUTPUT) continue;
        slots[slot].assign(bytes_of(*value, symbols.data()), std::byte{0});
    }
}

Result<Runner> Runner::create(const Trial& trial, tenon_compute compute, uint32_t flags) {
    const host::Device& device = Target::instance().device();
    Runner made;
    made.program_ = &trial.view();
    TENON_TRY(made.weights_, put_weights(trial));
    TENON_TRY(made.queue_, device.queue());
    TENON_TRY(made.timeline_, device.timeline());
    if (trial.kv) {
        TENON_TRY(made.kv_, device.kv_pool(*trial.kv));
    }
    TENON_TRY(const std::vector<tenon_verdict> verdicts, device.query(trial.view(), compute));
    for (uint32_t i = 0; i < verdicts.size(); ++i) {
        if (verdicts[i].kind != TENON_VERDICT_NO) continue;
        const ops::NodeView node(trial.view(), ops::node_at(trial.view(), i));
        return Error{Code::kUnsupported, node.where() + ": " + verdicts[i].reason};
    }
    std::vector<int64_t> largest;
    for (uint32_t i = 0; i < trial.view().n_symbols; ++i) {
        largest.push_back(ops::symbol_at(trial.view(), i).max);
    }
    const tenon_bucket bucket{largest.data()};
    tenon_prepare how{};
    how.size = sizeof how;
    how.flags = flags;
    how.compute = compute;
    how.n_buckets = 1;
    how.buckets = &bucket;
    how.weights = made.weights_.handle();
    how.kv = made.kv_.handle();
    TENON_TRY(made.exec_, device.prepare(trial.view(), how));
    for (uint32_t slot = 0; slot < trial.view().n_slots; ++slot) {
        const tenon_value* value = value_of_slot(trial.view(), slot);
        uint64_t bytes = 0;
        host::Buffer buffer;
        if (value != nullptr) {
            bytes = bytes_of(*value, largest.data());
            const uint32_t usage =
                value->kind == TENON_VALUE_INPUT ? TENON_BUF_INPUT : TENON_BUF_OUTPUT;
            TENON_TRY(buffer, device.buffer(bytes + 2 * kGuardBytes, usage));
        }
        made.bytes_.push_back(bytes);
        made.offsets_.push_back(value == nullptr ? 0 : kGuardBytes);
        made.handles_.push_back(buffer.handle());
        made.buffers_.push_back(std::move(buffer));
    }
    return made;
}

Status Runner::copy_inputs(const Step& step) {
    std::vector<tenon_copy> copies;
    std::vector<std::vector<std::byte>> filled;
    filled.reserve(buffers_.size());
    for (uint32_t slot = 0; slot < buffers_.size(); ++slot) {
        const tenon_value* value = value_of_slot(*program_, slot);
        if (value == nullptr) continue;
        auto& bytes = filled.emplace_back(bytes_[slot] + 2 * kGuardBytes, kGuard);
        if (value->kind == TENON_VALUE_INPUT) {
            std::memcpy(bytes.data() + kGuardBytes, step.slots[slot].data(),
                        step.slots[slot].size());
        }
        copies.push_back(host::copy_in(buffers_[slot], 0, bytes.data(), bytes.size()));
    }
    if (copies.empty()) return {};
    const tenon_point done = timeline_.at(next_value());
    TENON_CHECK(queue_.copy(copies, {{}, {&done, 1}}));
    return wait();
}

Status Runner::submit(const Step& step, const uint32_t* cancel, uint64_t* progress) {
    tenon_bind bind{};
    bind.n_slots = static_cast<uint32_t>(handles_.size());
    bind.buffers = handles_.data();
    bind.offsets = offsets_.data();
    bind.symbols = step.symbols.data();
    bind.cancel = cancel;
    bind.progress = progress;
    const tenon_point done = timeline_.at(next_value());
    return queue_.submit(exec_, bind, {{}, {&done, 1}});
}

Status Runner::wait() { return timeline_.wait(value_, kWaitNs); }

Status Runner::copy_outputs(Step& step) {
    for (uint32_t slot = 0; slot < buffers_.size(); ++slot) {
        const tenon_value* value = value_of_slot(*program_, slot);
        if (value == nullptr) continue;
        std::vector<std::byte> bytes(bytes_[slot] + 2 * kGuardBytes);
        const tenon_copy copy = host::copy_out(bytes.data(), buffers_[slot], 0, bytes.size());
        const tenon_point done = timeline_.at(next_value());
        TENON_CHECK(queue_.copy({&copy, 1}, {{}, {&done, 1}}));
        TENON_CHECK(wait());
        TENON_CHECK(check_guards(slot, bytes, bytes_[slot]));
        if (value->kind == TENON_VALUE_OUTPUT) {
            std::memcpy(step.slots[slot].data(), bytes.data() + kGuardBytes,
                        step.slots[slot].size());
        } else if (std::memcmp(step.slots[slot].data(), bytes.data() + kGuardBytes,
                               step.slots[slot].size()) != 0) {
            return Error{Code::kInternal,
                         fmt::format("the program wrote its input of slot {}", slot)};
        }
    }
    return {};
}

Status Runner::check_guards(uint32_t slot, const std::vector<std::byte>& bytes,
                            uint64_t used) const {
    for (uint64_t i = 0; i < kGuardBytes; ++i) {
        if (bytes[i] != kGuard || bytes[kGuardBytes + used + i] != kGuard) {
            return Error{
                Code::kInternal,
                fmt::format("bytes outside of slot {} were written, {} from its edge", slot, i)};
        }
    }
    return {};
}

Status Runner::run(Step& step, const uint32_t* cancel, uint64_t* progress) {
    step.prepare_outputs(*program_);
    TENON_CHECK(copy_inputs(step));
    TENON_CHECK(submit(step, cancel, progress));
    TENON_CHECK(wait());
    return copy_outputs(step);
}

Status Runner::renew_timeline() {
    TENON_TRY(timeline_, Target::instance().device().timeline());
    value_ = 0;
    return {};
}

Oracle::Oracle(const Trial& trial) {
    for (const TrialWeight& weight : trial.weights) {
        stored_.push_back({weight.format, weight.rows, weight.cols, weight.bytes});
    }
    if (trial.kv) kv_.emplace(*trial.kv);
    auto made = ops::Interpreter::create(trial.view(), stored_, kv_ ? &kv_->view() : nullptr);
    if (made.ok()) {
        interpreter_.emplace(std::move(made).value());
    } else {
        status_ = std::move(made).error();
    }
}

Status Oracle::run(Step& step) {
    TENON_CHECK(status_);
    step.slots.resize(step.slots.size());
    std::vector<std::span<std::byte>> buffers(step.slots.begin(), step.slots.end());
    return interpreter_->run(step.symbols, buffers);
}

bool count_comparison() {
    const bool computes = Target::instance().computes();
    ++(computes ? g_compared : g_left_out);
    return computes;
}

uint64_t comparisons_made() { return g_compared; }
uint64_t comparisons_left_out() { return g_left_out; }

::testing::AssertionResult close_to(const std::vector<float>& reference,
                                    const std::vector<float>& got, Tolerance tolerance) {
    if (!count_comparison()) return ::testing::AssertionSuccess();
    if (reference.size() != got.size()) {
        return ::testing::AssertionFailure()
               << got.size() << " numbers; the reference has " << reference.size();
    }
    double energy = 0;
    double error = 0;
    double worst = 0;
    size_t worst_at = 0;
    for (size_t i = 0; i < got.size(); ++i) {
        if (!std::isfinite(got[i])) {
            return ::testing::AssertionFailure() << "number " << i << " is " << got[i];
        }
        const double difference = static_cast<double>(got[i]) - reference[i];
        energy += static_cast<double>(reference[i]) * reference[i];
        error += difference * difference;
        if (std::fabs(difference) > worst) {
            worst = std::fabs(difference);
            worst_at = i;
        }
    }
    if (energy == 0) {
        if (error == 0) return ::testing::AssertionSuccess();
        return ::testing::AssertionFailure()
               << "the reference is zero, number " << worst_at << " is not";
    }
    const double rms = std::sqrt(energy / static_cast<double>(got.size()));
    if (error / energy <= tolerance.nmse && worst / rms <= tolerance.worst) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << fmt::format(
               "normalised squared error {:.3g} (limit {:.3g}); worst at {}: {} for {}, {:.3g} of "
               "the "
               "root mean square (limit {:.3g})",
               error / energy, tolerance.nmse, worst_at, got[worst_at], reference[worst_at],
               worst / rms, tolerance.worst);
}

::testing::AssertionResult equal_bits(const std::vector<float>& a, const std::vector<float>& b) {
    if (!count_comparison()) return ::testing::AssertionSuccess();
    if (a.size() != b.size()) {
        return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " numbers";
    }
    for (size_t i = 0; i < a.size(); ++i) {
        if (std::memcmp(&a[i], &b[i], sizeof(float)) == 0) continue;
        return ::testing::AssertionFailure()
               << fmt::format("number {} of {} differs: {} and {}", i, a.size(), a[i], b[i]);
    }
    return ::testing::AssertionSuccess();
}

const char* compute_name(tenon_compute compute) {
    return compute == TENON_COMPUTE_FAST ? "fast" : "precise";
}

}  // namespace tenon::conformance
