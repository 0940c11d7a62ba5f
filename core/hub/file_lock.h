// A lock between processes on one file of the cache: flock(2) on a lock file that stays, as the hub's
// own Python package does it, so that both wait for each other.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <string>

namespace tenon::hub {

// Held until destroyed, or until the process ends in whatever way. Move-only.
class FileLock {
public:
    // Nothing when another process holds it. Makes the file and its folders.
    static Result<std::optional<FileLock>> try_lock(const std::string& path);

    FileLock(FileLock&& other) noexcept;
    FileLock& operator=(FileLock&& other) noexcept;
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;
    ~FileLock();

private:
    explicit FileLock(int file) : file_(file) {}
    int file_;
};

}  // namespace tenon::hub
