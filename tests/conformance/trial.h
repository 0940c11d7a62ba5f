// One program on the plugin under test and, beside it, on the references.
#pragma once

#include <tenon/abi.h>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "core/host/backend.h"
#include "core/ops/interpreter.h"
#include "core/ops/program.h"
#include "tests/conformance/random_data.h"
#include "tests/conformance/target.h"

namespace tenon::conformance {

struct TrialWeight {
    std::string name;
    tenon_format format;
    int64_t rows = 0;
    int64_t cols = 0;
    uint32_t uses = 0;
    std::vector<std::byte> bytes;
    uint32_t fuse_group = TENON_NONE;
};

// A program with everything that it is prepared with.
struct Trial {
    std::optional<ops::Program> program;
    std::vector<TrialWeight> weights;
    std::optional<tenon_kv_desc> kv;

    // Adds a weight; its entry.
    uint32_t add(TrialWeight weight) {
        weights.push_back(std::move(weight));
        return static_cast<uint32_t>(weights.size() - 1);
    }
    // f32, read whole: gains, biases, frequencies.
    uint32_t add_floats(std::string name, const std::vector<float>& numbers);
    const tenon_program& view() const { return program->view(); }
};

// Contents of the slots of one step. Output slots are made by Step::prepare_outputs.
struct Step {
    std::vector<int64_t> symbols;
    std::vector<std::vector<std::byte>> slots;

    template <class T>
    void set(uint32_t slot, const std::vector<T>& items) {
        if (slots.size() <= slot) slots.resize(slot + 1);
        slots[slot].resize(items.size() * sizeof(T));
        std::memcpy(slots[slot].data(), items.data(), slots[slot].size());
    }
    template <class T>
    std::vector<T> get(uint32_t slot) const {
        std::vector<T> items(slots[slot].size() / sizeof(T));
        std::memcpy(items.data(), slots[slot].data(), items.size() * sizeof(T));
        return items;
    }
    // Sizes the output slots of `program` for these symbols, zeroed.
    void prepare_outputs(const tenon_program& program);
};

// The plugin's side: weights, pool, program and buffers of a trial. Every buffer has guard bytes
// before and after what a step may touch.
class Runner {
public:
    // kUnsupported where query says no, or a format or pool is not taken: the case is a skip.
    static Result<Runner> create(const Trial& trial, tenon_compute compute, uint32_t flags = 0);

    // Copies in, submits, copies out, waits; output slots of `step` are filled. Fails on a touched
    // guard.
    Status run(Step& step, const uint32_t* cancel = nullptr, uint64_t* progress = nullptr);

    // The pieces of run(), for the cases about submit itself.
    Status copy_inputs(const Step& step);
    Status submit(const Step& step, const uint32_t* cancel, uint64_t* progress);
    Status wait();
    Status copy_outputs(Step& step);

    const host::Exec& exec() const { return exec_; }
    const host::Queue& queue() const { return queue_; }
    const host::KvPool& kv() const { return kv_; }
    const host::Timeline& timeline() const { return timeline_; }
    uint64_t next_value() { return ++value_; }
    bool deterministic() const { return (exec_.info().flags & TENON_EXEC_DETERMINISTIC) != 0; }
    // A failed timeline stays failed; a fresh one starts at 0.
    Status renew_timeline();

private:
    Status check_guards(uint32_t slot, const std::vector<std::byte>& bytes, uint64_t used) const;

    const tenon_program* program_ = nullptr;
    host::Queue queue_;
    host::Timeline timeline_;
    host::WeightSet weights_;
    host::KvPool kv_;
    host::Exec exec_;
    std::vector<host::Buffer> buffers_;
    std::vector<tenon_buffer*> handles_;
    std::vector<uint64_t> offsets_;
    std::vector<uint64_t> bytes_;  // of each slot at the largest symbols
    uint64_t value_ = 0;
};

// The references' side.
class Oracle {
public:
    explicit Oracle(const Trial& trial);
    Status run(Step& step);

private:
    std::vector<ops::StoredWeight> stored_;
    std::optional<ops::HostKv> kv_;
    std::optional<ops::Interpreter> interpreter_;
    Status status_;
};

// How far a result may lie from its reference: mean squared error over the reference's mean square,
// and the largest error over the reference's root mean square.
struct Tolerance {
    double nmse;
    double worst;
};
inline constexpr Tolerance kFloatTolerance{1e-10, 1e-4};
// bf16 activations lose 2^-9 of each element: 1.3e-6 of the energy, three times for what is
// chained.
inline constexpr Tolerance kPreciseTolerance{4e-6, 0.02};
// int8 per block of 32: a step is the block's largest element / 127, about 2.2 sigma / 127 for
// normal data, so an error energy of (2.2 / 127)^2 / 12 = 2.5e-5; four times for skewed blocks.
inline constexpr Tolerance kFastTolerance{1e-4, 0.1};

// Passes on a device that computes nothing; such comparisons are counted.
::testing::AssertionResult close_to(const std::vector<float>& reference,
                                    const std::vector<float>& got, Tolerance tolerance);
::testing::AssertionResult equal_bits(const std::vector<float>& a, const std::vector<float>& b);
// Counts a comparison; false when the device computes nothing, so that there is none to make.
bool count_comparison();
uint64_t comparisons_made();
uint64_t comparisons_left_out();

// Ends the test as a skip when the error is kUnsupported, as a failure otherwise.
#define CONFORMANCE_MADE(result)                                         \
    if (!(result).ok()) {                                                \
        if ((result).error().code == ::tenon::Code::kUnsupported) {      \
            GTEST_SKIP() << "unsupported: " << (result).error().message; \
        }                                                                \
        FAIL() << (result).error().message;                              \
    }
#define CONFORMANCE_OK(expression)                                                    \
    do {                                                                              \
        const ::tenon::Status conformance_status_ = (expression);                     \
        ASSERT_TRUE(conformance_status_.ok()) << conformance_status_.error().message; \
    } while (false)
#define CONFORMANCE_REFUSED(expression, wanted)                                                 \
    do {                                                                                        \
        const ::tenon::Status conformance_status_ = (expression);                               \
        ASSERT_FALSE(conformance_status_.ok()) << "accepted";                                   \
        EXPECT_EQ(static_cast<int>(conformance_status_.error().code), static_cast<int>(wanted)) \
            << conformance_status_.error().message;                                             \
    } while (false)

// A Result as a Status, its value dropped.
template <class T>
Status status_of(Result<T>&& result) {
    if (result.ok()) return {};
    return std::move(result).error();
}

const char* compute_name(tenon_compute compute);

}  // namespace tenon::conformance
