// Whether a step's bind fits what was prepared: what submit must know before it queues anything.
#pragma once

#include <cstdint>

#include <tenon/plugin.hpp>

#include "backends/common/step_bounds.h"

namespace tenon::common {

// Bytes of the buffer behind a handle, which is not null.
using BufferBytes = uint64_t (*)(tenon_buffer* buffer);

// Takes no memory. `align`: what the device wants of a bound offset besides the element's own alignment.
sdk::Status check_bind(const StepBounds& bounds, const tenon_bind& bind, BufferBytes bytes_of,
                       uint64_t align = 1) noexcept;

}  // namespace tenon::common
