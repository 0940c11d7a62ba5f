#include "core/base/host_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace tenon {

namespace {

// A file of one number; none for "max" or a file that is not there.
std::optional<uint64_t> number_in(const std::string& path) {
    std::ifstream file(path);
    uint64_t number = 0;
    if (file >> number) return number;
    return std::nullopt;
}

// The number behind `name` in a file of lines "name number".
std::optional<uint64_t> row_in(const std::string& path, std::string_view name) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::string key;
        uint64_t number = 0;
        if (words >> key >> number && key == name) return number;
    }
    return std::nullopt;
}

// cgroups(7): lines "id:controllers:path"; version 2 has id 0 and no controllers.
std::optional<std::string> group_of(const std::string& root, std::string_view controller) {
    std::ifstream file(root + "/proc/self/cgroup");
    for (std::string line; std::getline(file, line);) {
        const size_t first = line.find(':');
        const size_t second = line.find(':', first + 1);
        if (first == std::string::npos || second == std::string::npos) continue;
        const std::string names =
            fmt::format(",{},", std::string_view(line).substr(first + 1, second - first - 1));
        if (names.find(fmt::format(",{},", controller)) != std::string::npos)
            return line.substr(second + 1);
    }
    return std::nullopt;
}

struct Version {
    const char* controller;
    const char* mount;
    const char* limit;
    const char* usage;
    const char* cache;  // row of memory.stat: file pages that the kernel takes back first
};

constexpr Version kVersions[] = {
    {"", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"},
    {"memory", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes",
     "total_inactive_file"},
};

void bound_by(const std::string& root, const std::string& folder, const Version& version,
              HostMemory& memory) {
    const std::string file = folder + "/" + version.limit;
    const std::optional<uint64_t> limit = number_in(root + file);
    if (!limit) return;
    if (*limit < memory.total) {
        memory.total = *limit;
        memory.total_of = file;
    }
    const uint64_t usage = number_in(root + folder + "/" + version.usage).value_or(0);
    const uint64_t cache = row_in(root + folder + "/memory.stat", version.cache).value_or(0);
    const uint64_t held = usage - std::min(usage, cache);
    const uint64_t left = *limit - std::min(*limit, held);
    if (left < memory.available) {
        memory.available = left;
        memory.available_of = file;
    }
}

}  // namespace

Result<HostMemory> read_host_memory(const std::string& root) {
    const std::string meminfo = "/proc/meminfo";
    const std::optional<uint64_t> total = row_in(root + meminfo, "MemTotal:");
    const std::optional<uint64_t> available = row_in(root + meminfo, "MemAvailable:");
    if (!total || !available) {
        return Error{Code::kUnsupported,
                     root + meminfo + " does not tell MemTotal and MemAvailable"};
    }
    HostMemory memory{*total * 1024, *available * 1024, meminfo, meminfo};
    for (const Version& version : kVersions) {
        const std::optional<std::string> group = group_of(root, version.controller);
        if (!group) continue;
        // A container may see its own group as the root of the mount; then its path is not there.
        std::string path = *group;
        while (true) {
            while (!path.empty() && path.back() == '/')
                path.pop_back();
            bound_by(root, version.mount + path, version, memory);
            if (path.empty()) break;
            path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
        }
    }
    return memory;
}

}  // namespace tenon
