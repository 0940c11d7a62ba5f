// A copy of the ABI: rows from one place to another, each with a pitch of its own.
#pragma once

#include <cstdint>

#include <tenon/plugin.hpp>

namespace tenon::common {

namespace sdk = tenon::sdk;

// Copy number `index`, whose device buffers have these bytes; a side that is the host's is the caller's
// word, and its bytes are not looked at.
sdk::Status check_copy(uint32_t index, const tenon_copy& copy, uint64_t dst_bytes,
                       uint64_t src_bytes) noexcept;

// Copies between the bases of both sides, in memory of the host. Rows of a copy may overlap.
void copy_rows(const tenon_copy& copy, uint8_t* dst, const uint8_t* src) noexcept;

}  // namespace tenon::common
