// Replacing fused ops by their parts: the host's answer where a device cannot run a fusion.
#pragma once

#include <vector>

#include "core/base/result.h"
#include "core/ops/program.h"

namespace tenon::ops {

// `program` with each node for which `chosen` is true replaced by simpler ops of the same meaning;
// the others are kept. chosen has one entry for each node; program passed verify_program.
// kUnsupported when a chosen node has no simpler parts. Slots, symbols and weight entries keep
// their numbers.
Result<Program> decompose_nodes(const tenon_program& program, const std::vector<bool>& chosen);

}  // namespace tenon::ops
