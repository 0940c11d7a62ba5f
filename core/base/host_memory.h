// How much memory this machine, or the container around this process, has and has left.
#pragma once

#include "core/base/result.h"

#include <cstdint>
#include <string>

namespace tenon {

// Bytes. The smallest of what the machine has and of every limit of the control groups that this
// process is in (versions 2 and 1, with the groups above it).
struct HostMemory {
    uint64_t total = 0;
    uint64_t available =
        0;  // can be taken without swapping or being killed; file cache counts as free
    std::string total_of;  // the file that says so: "/proc/meminfo", ".../memory.max"
    std::string available_of;
};

// `root` stands in front of every path, for tests. kUnsupported when /proc/meminfo is not readable.
Result<HostMemory> read_host_memory(const std::string& root = "");

}  // namespace tenon
