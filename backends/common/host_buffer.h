// A buffer in memory of the host, and copies that the host makes. A backend's Buffer derives from it.
#pragma once

#include <cstdint>

#include "backends/common/row_copy.h"

namespace tenon::common {

struct HostBuffer {
    sdk::HostMemory memory;
    uint8_t* at(uint64_t offset) noexcept { return static_cast<uint8_t*>(memory.data()) + offset; }

    // The slot buffer_alloc: zeros. OOM_DEVICE when they do not fit, and nothing is taken.
    sdk::Status alloc(const tenon_buffer_desc& desc) noexcept;
};

// Handles is the backend's sdk::Backend; every copy's device side is a HostBuffer behind it.

template <class Handles>
sdk::Status check_copies(const tenon_copy* copies, uint32_t n) noexcept {
    const auto bytes_of = [](tenon_buffer* buffer) -> uint64_t {
        return buffer == nullptr ? 0 : Handles::get(buffer)->memory.bytes();
    };
    for (uint32_t i = 0; i < n; ++i)
        TENON_SDK_CHECK(check_copy(i, copies[i], bytes_of(copies[i].dst), bytes_of(copies[i].src)));
    return {};
}

// Wants copies that check_copies passed. In their order.
template <class Handles>
void run_copies(const tenon_copy* copies, uint32_t n) noexcept {
    const auto base_of = [](tenon_buffer* buffer, const void* host) {
        return buffer != nullptr ? Handles::get(buffer)->at(0)
                                 : static_cast<uint8_t*>(const_cast<void*>(host));
    };
    for (uint32_t i = 0; i < n; ++i) {
        const tenon_copy& c = copies[i];
        copy_rows(c, base_of(c.dst, c.host_dst), base_of(c.src, c.host_src));
    }
}

}  // namespace tenon::common
