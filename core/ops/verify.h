// The gate of every program: what passes here no backend and no interpreter has to doubt.
#pragma once

#include <tenon/abi.h>

#include "core/base/result.h"

namespace tenon::ops {

// Checks sizes and strides, every index, kind, dtype, extent and attribute size, the shape rule of
// every node, that each value is written once and before it is read, that each slot is used once,
// and that all nodes agree on one KV pool. kInvalid with one sentence; kUnsupported for an op
// without a reference. Pointers must be readable for the counts given.
Status verify_program(const tenon_program& program);

}  // namespace tenon::ops
