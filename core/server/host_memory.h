// How full the memory of this machine or container is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace tenon::server {

// Bytes that cannot be taken back from caches, and the budget they count against.
struct HostMemory {
    uint64_t used = 0;
    uint64_t budget = 0;
    double percent() const {
        return budget > 0 ? 100.0 * static_cast<double>(used) / static_cast<double>(budget) : 0;
    }
};

// Of the control group where it has a limit below the machine's memory (version 2 or 1), else of the
// machine. `root` stands in for "/" in tests. Nothing when the kernel does not say.
std::optional<HostMemory> read_host_memory(const std::string& root = "");

}  // namespace tenon::server
