// Numbers and names of requests. Thread-safe.
#pragma once

#include "core/engine/generation.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace tenon::server {

// Unique in this process.
engine::GenerationId next_generation_id() noexcept;
// No secret: another value in every call, thread and process.
uint64_t random_bits() noexcept;
// `prefix` and 24 random hex digits.
std::string make_id(std::string_view prefix);
// Seconds since 1970.
int64_t unix_time() noexcept;

}  // namespace tenon::server
