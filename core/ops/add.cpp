#include <tenon/reference/add.h>

#include "core/ops/op.h"
#include "core/ops/row_broadcast.h"

namespace tenon::ops {
namespace {

enum : uint32_t { kA, kB };
constexpr Port kInputs[] = {{"a"}, {"b"}};
constexpr Port kOutputs[] = {{"y"}};

Status run(const RunArgs& args) {
    const HostArray& a = args.inputs[kA];
    const HostArray& b = args.inputs[kB];
    if (a.count() == 0) return {};
    reference::add(a.f32(), b.f32(), a.count(), b.count(), args.outputs[0].as<float>());
    return {};
}

}  // namespace

constinit const OpDef kAddOp{TENON_OP_ADD,        "add", kInputs, kOutputs, 0,
                             infer_row_broadcast, run,   nullptr};

}  // namespace tenon::ops
