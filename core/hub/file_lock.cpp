#include "core/hub/file_lock.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon::hub {

Result<std::optional<FileLock>> FileLock::try_lock(const std::string& path) {
    std::error_code fault;
    std::filesystem::create_directories(std::filesystem::path(path).parent_path(), fault);
    if (fault) {
        return Error{Code::kInvalid,
                     fmt::format("cannot make the folder of {}: {}", path, fault.message())};
    }
    const int file =
        open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0664);
    if (file < 0) {
        return Error{Code::kInvalid,
                     fmt::format("cannot open the lock {}: {}", path, std::strerror(errno))};
    }
    FileLock lock(file);
    if (flock(file, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK || errno == EACCES) return std::optional<FileLock>();
        return Error{Code::kInvalid, fmt::format("cannot lock {}: {}", path, std::strerror(errno))};
    }
    // A lock file that somebody deleted meanwhile locks nobody out.
    struct stat held {
    }, there{};
    if (fstat(file, &held) != 0 || stat(path.c_str(), &there) != 0 || held.st_ino != there.st_ino ||
        held.st_dev != there.st_dev) {
        return std::optional<FileLock>();
    }
    return std::optional<FileLock>(std::move(lock));
}

FileLock::FileLock(FileLock&& other) noexcept : file_(std::exchange(other.file_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
}

FileLock::~FileLock() {
    if (file_ >= 0) close(file_);
}

}  // namespace tenon::hub
