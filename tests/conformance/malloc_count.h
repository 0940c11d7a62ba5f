// Counts every allocation of the process: malloc and its family are interposed in this program, and
// a plugin's calls resolve here too. Not available under sanitizers, which interpose them
// themselves.
#pragma once

#include <cstdint>

namespace tenon::conformance {

bool counts_allocations() noexcept;
// Allocations since the start, of all threads.
uint64_t allocations() noexcept;

// What a step may be blamed for: every allocation of the thread that made the watch, by whomever,
// and those of all other threads that the plugin's own code asked for, directly or through the C
// and C++ libraries. Not: what a device's driver does on threads that the plugin or the driver
// runs. One watch at a time.
class AllocationWatch {
public:
    // `code` is any address within the plugin.
    explicit AllocationWatch(const void* code) noexcept;
    ~AllocationWatch();
    AllocationWatch(const AllocationWatch&) = delete;
    AllocationWatch& operator=(const AllocationWatch&) = delete;

    uint64_t count() const noexcept;
};

}  // namespace tenon::conformance
