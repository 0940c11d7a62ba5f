#include "core/ops/op.h"

namespace tenon::ops {
namespace {

constexpr const OpDef* kOps[] = {
    &kEmbedOp,      &kRmsNormOp,    &kMatmulOp,   &kMatmulGluOp, &kRopeKvWriteOp,
    &kPagedAttnOp,  &kGatherRowsOp, &kSampleOp,   &kAddOp,       &kMulOp,
    &kActivationOp, &kSoftcapOp,    &kPoolRowsOp,
};

}  // namespace

std::span<const OpDef* const> op_list() noexcept { return kOps; }

const OpDef* find_op(uint32_t number) noexcept {
    for (const OpDef* op : kOps) {
        if (op->number == number) return op;
    }
    return nullptr;
}

}  // namespace tenon::ops
