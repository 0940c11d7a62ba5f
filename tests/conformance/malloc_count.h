// Counts every allocation of the process: malloc and its family are interposed in this program, and
// a plugin's calls resolve here too. Not available under sanitizers, which interpose them
// themselves.
#pragma once

#include <cstdint>

namespace tenon::conformance {

bool counts_allocations() noexcept;
// Allocations since the start, of all threads.
uint64_t allocations() noexcept;

}  // namespace tenon::conformance
