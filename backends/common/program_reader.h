// A program as a backend keeps it: checked against its weights, its KV pool and its buckets, with the
// rows of each value at their most. What prepare does before a device has a say.
#pragma once

#include <cstdint>
#include <vector>

#include <tenon/plugin.hpp>

#include "backends/common/program_check.h"
#include "backends/common/step_bounds.h"

namespace tenon::common {

struct ProgramValue {
    uint32_t kind = 0;
    uint32_t dtype = 0;
    uint32_t slot = TENON_NONE;
    uint32_t weight = TENON_NONE;
    uint32_t rank = 0;
    tenon_dim dims[TENON_MAX_RANK] = {};
    uint64_t cols = 0;     // elements behind one index of the first dimension
    int64_t rows_max = 0;  // over all steps of all buckets

    // Bytes at its largest; they fit, see read_program.
    uint64_t bytes_max() const noexcept {
        return static_cast<uint64_t>(rows_max) * cols * sdk::dtype_bytes(dtype);
    }
};

struct ProgramNode {
    uint32_t op = 0;
    const void* attrs = nullptr;  // the program's
    uint32_t in[kInputsMax];      // values; TENON_NONE where there is none
    uint32_t out[kOutputsMax];

    template <class T>
    const T& attr() const noexcept {
        return *static_cast<const T*>(attrs);
    }
};

// An entry of a weight set: what it was put as and for.
struct WeightShape {
    uint32_t rows = 0, cols = 0;
    bool matrix = false;  // TENON_USE_MATMUL or TENON_USE_ROWS
    bool plain = false;   // TENON_USE_ELEMENTWISE
};

// What a program is prepared with.
struct ProgramParts {
    bool weights_finished = false;  // false without a weight set
    bool weights_measured = false;
    std::vector<WeightShape> weights;
    const tenon_kv_desc* kv = nullptr;  // null without a pool
};

// The parts of a backend whose sets keep `finished`, `measured` and entries of rows, cols and uses.
template <class Weights>
ProgramParts parts_of(const Weights* weights, const tenon_kv_desc* kv) {
    ProgramParts parts;
    parts.kv = kv;
    if (weights == nullptr) return parts;
    parts.weights_finished = weights->finished;
    parts.weights_measured = weights->measured;
    for (const auto& entry : weights->entries)
        parts.weights.push_back({entry.rows, entry.cols,
                                 (entry.uses & (TENON_USE_MATMUL | TENON_USE_ROWS)) != 0,
                                 (entry.uses & TENON_USE_ELEMENTWISE) != 0});
    return parts;
}

// Whether value number `index` finds the weight or the pool that it names.
sdk::Status check_source(const tenon_value& value, uint32_t index,
                         const ProgramParts& parts) noexcept;

// Whether a set that was only measured may serve here.
sdk::Status check_measured(const tenon_prepare& how, bool weights_measured) noexcept;

struct ReadProgram {
    StepBounds bounds;  // every bound value that a node touches must be bound
    std::vector<ProgramValue> values;
    std::vector<ProgramNode> nodes;
};

// Afterwards every index and size of `read` may be relied on: nodes pass check_node, matrices and plain
// weights are as large as the program has them, no value has more than a TiB or 2^32 columns.
sdk::Status read_program(const tenon_program& program, const tenon_prepare& how,
                         const ProgramParts& parts, ReadProgram& read);

}  // namespace tenon::common
