// A run of nodes as a program of its own: how a step is spread over devices.
#pragma once

#include <cstdint>
#include <vector>

#include "core/ops/program.h"

namespace tenon::ops {

// Nodes first .. first + count - 1 of `program`, which passed verify_program. slots[v] is the slot
// through which value v crosses from one cut to another, TENON_NONE for a value that does not;
// values of kind INPUT and OUTPUT keep their slots, symbols their numbers. With `entries`, weights
// are numbered by their place in that list, which grows; else they keep their entries.
Program cut_nodes(const tenon_program& program, uint32_t first, uint32_t count,
                  const std::vector<uint32_t>& slots, std::vector<uint32_t>* entries);

}  // namespace tenon::ops
