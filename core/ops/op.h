// What every op is: its ports, its shape rule, its reference and, where it is a fusion, its parts.
//
// One file per op (matmul.cpp); op_list.cpp is the index. The meaning stands above tenon_attr_* in
// core/abi/abi.yaml and, as code, in tenon/reference/. Everything here is constant; any thread.
#pragma once

#include <tenon/abi.h>
#include <tenon/reference/kv.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/ops/node_view.h"

namespace tenon::ops {

// kv: takes the KV pool, and only that.
struct Port {
    const char* name;
    bool optional = false;
    bool kv = false;
};

// An array of the host with the extents of this run. Borrows data; null where the port is absent.
struct HostArray {
    void* data = nullptr;
    int64_t dims[TENON_MAX_RANK] = {};
    uint32_t rank = 0;

    template <class T>
    T* as() const noexcept {
        return static_cast<T*>(data);
    }
    const float* f32() const noexcept { return static_cast<const float*>(data); }
    const int32_t* i32() const noexcept { return static_cast<const int32_t*>(data); }
    int64_t count() const noexcept {
        int64_t product = 1;
        for (uint32_t axis = 0; axis < rank; ++axis)
            product *= dims[axis];
        return product;
    }
};

// One call of a reference: an array for each port that the op declares.
struct RunArgs {
    const NodeView& node;
    std::span<const HostArray> inputs;
    std::span<const HostArray> outputs;
    const reference::ReferenceKv* kv;
};

struct OpDef {
    uint32_t number;  // a tenon_op
    const char* name;
    std::span<const Port> inputs;
    std::span<const Port> outputs;
    uint32_t attr_bytes;  // sizeof its tenon_attr_*, 0 without attributes

    // The types of all declared outputs, or which input is wrong. Called when the ports, the
    // attribute size and the value indices were checked.
    Result<std::vector<ValueType>> (*infer)(const NodeView& node);

    // Runs the reference. kInvalid when the contents of an index input leave their array.
    Status (*run)(const RunArgs& args);

    // Adds the same meaning in simpler ops to `to`, reading `inputs` (one for each declared port,
    // already values of `to`); the values that stand for the outputs, or an empty list when the
    // node has no simpler parts. Null for an op that never has.
    std::vector<ValueId> (*decompose)(const NodeView& node, std::span<const ValueId> inputs,
                                      ProgramBuilder& to);
};

// Every op with a reference, in the order of their numbers.
std::span<const OpDef* const> op_list() noexcept;

// Null for reserved and unknown numbers.
const OpDef* find_op(uint32_t number) noexcept;

extern const OpDef kEmbedOp;
extern const OpDef kRmsNormOp;
extern const OpDef kMatmulOp;
extern const OpDef kMatmulGluOp;
extern const OpDef kRopeKvWriteOp;
extern const OpDef kPagedAttnOp;
extern const OpDef kGatherRowsOp;
extern const OpDef kSampleOp;
extern const OpDef kAddOp;
extern const OpDef kMulOp;
extern const OpDef kActivationOp;
extern const OpDef kSoftcapOp;
extern const OpDef kPoolRowsOp;

}  // namespace tenon::ops
