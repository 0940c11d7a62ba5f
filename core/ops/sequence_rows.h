// The rows of each sequence in a step: the checks that attention and pooling share.
#pragma once

#include "core/ops/op.h"

namespace tenon::ops {

// q_start, input `port`, is i32 of [extent of the sequences + 1]; the number of sequences as a Dim.
Result<Dim> sequences_of(const NodeView& node, uint32_t port);

// q_start begins at 0, never falls and ends at or below `tokens`.
Status check_q_start(const RunArgs& args, const HostArray& q_start, int64_t tokens);

}  // namespace tenon::ops
