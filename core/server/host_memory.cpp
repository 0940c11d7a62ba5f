#include "core/server/host_memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>

namespace tenon::server {

namespace {

// A file of one number; nothing for "max" or a file that is not there.
std::optional<uint64_t> read_number(const std::string& path) {
    std::ifstream file(path);
    uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

// The number behind `name` in a file of "name number" lines.
std::optional<uint64_t> read_row(const std::string& path, const std::string& name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string key;
        uint64_t number = 0;
        if (words >> key >> number && key == name) return number;
    }
    return std::nullopt;
}

// Folder of this process below a hierarchy: of "0::" in version 2, of "memory" in version 1.
std::string group_of(const std::string& root, bool is_v2) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string names = line.substr(first + 1, second - first - 1);
        const bool fits = is_v2 ? names.empty() : names.find("memory") != std::string::npos;
        if (fits) return line.substr(second + 1);
    }
    return "/";
}

struct Layout {
    const char* mount;
    const char* limit;
    const char* usage;
    const char* inactive;  // row of memory.stat: file pages that the kernel drops first
    bool is_v2;
};

constexpr Layout kLayouts[] = {
    {"/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file", true},
    {"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file", false},
};

}  // namespace

std::optional<HostMemory> read_host_memory(const std::string& root) {
    const std::string meminfo = root + "/proc/meminfo";
    const std::optional<uint64_t> total_kib = read_row(meminfo, "MemTotal:");
    const std::optional<uint64_t> free_kib = read_row(meminfo, "MemAvailable:");
    if (!total_kib || !free_kib) return std::nullopt;
    const HostMemory machine{(*total_kib - std::min(*total_kib, *free_kib)) << 10,
                             *total_kib << 10};
    for (const Layout& layout : kLayouts) {
        // Inside a container the group's own folder is often the mount itself.
        for (const std::string& group : {group_of(root, layout.is_v2), std::string("/")}) {
            std::string folder = root;
            folder += layout.mount;
            if (group != "/") folder += group;
            folder += '/';
            const std::optional<uint64_t> limit = read_number(folder + layout.limit);
            const std::optional<uint64_t> usage = read_number(folder + layout.usage);
            if (!limit || !usage || *limit >= machine.budget) continue;
            const uint64_t inactive =
                read_row(folder + "memory.stat", layout.inactive).value_or(0);
            return HostMemory{*usage - std::min(*usage, inactive), *limit};
        }
    }
    return machine;
}

}  // namespace tenon::server
