// Whether the nodes of a program run on a backend that computes every op that has a reference: ports,
// attributes and the kinds of their values, without weights, buckets or a device.
//
// What is accepted may be read as words: every element has 4 or 8 bytes, indices are I32 and bound, and
// only the first dimension of a value varies.
#pragma once

#include <cstdint>

#include <tenon/plugin.hpp>

namespace tenon::common {

namespace sdk = tenon::sdk;

constexpr uint32_t kInputsMax = 10;  // ports of an op
constexpr uint32_t kOutputsMax = 2;

// The program's indices are in range: sdk::check_program has seen it.
sdk::Status check_node(const tenon_program& program, uint32_t index) noexcept;

// The slot query: each node is NATIVE, or NO with check_node's sentence.
void judge_nodes(const tenon_program& program, sdk::Strided<tenon_verdict> verdicts) noexcept;

}  // namespace tenon::common
