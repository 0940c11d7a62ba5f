// The shape rule of elementwise ops of two operands.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/ops/node_view.h"

namespace tenon::ops {

// Inputs a and b, both f32: of one shape, or b one row that meets each row of a. The output has the
// shape of a.
Result<std::vector<ValueType>> infer_row_broadcast(const NodeView& node);

}  // namespace tenon::ops
