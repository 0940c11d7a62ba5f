#include "core/formats/new_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tenon::formats {

namespace {

constexpr mode_t kMode = 0644;
constexpr int kLockTries = 8;

std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Error error_of(const std::string& path, const char* what, int number) {
    return {number == ENOSPC || number == EDQUOT ? Code::kData : Code::kInvalid,
            fmt::format("{}: {}: {}", path, what, std::strerror(number))};
}

// The part file, locked, as its name still means it: between opening and locking its writer may
// have renamed or removed it.
Result<int> open_locked(const std::string& path, const std::string& part) {
    for (int round = 0; round < kLockTries; ++round) {
        const int fd =
            open(part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, kMode);
        if (fd < 0) return error_of(part, "cannot be created", errno);
        struct stat opened {};
        struct stat named {};
        if (fstat(fd, &opened) != 0 || !S_ISREG(opened.st_mode)) {
            close(fd);
            return Error{Code::kInvalid, fmt::format("{} is not a regular file", part)};
        }
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            close(fd);
            return Error{Code::kBusy, fmt::format("{} is being written by another process", path)};
        }
        if (stat(part.c_str(), &named) == 0 && named.st_ino == opened.st_ino &&
            named.st_dev == opened.st_dev) {
            return fd;
        }
        close(fd);
    }
    return Error{Code::kBusy, fmt::format("{} is being written by another process", path)};
}

Status reserve(int fd, const std::string& path, uint64_t bytes) {
    struct statvfs disk {};
    if (fstatvfs(fd, &disk) == 0) {
        const uint64_t available = uint64_t{disk.f_bavail} * disk.f_frsize;
        if (bytes > available)
            return Error{Code::kData, fmt::format("{} needs {} bytes of disk, {} has {}", path,
                                                  bytes, folder_of(path), available)};
    }
#ifdef __linux__
    if (bytes > 0 && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) != 0 &&
        (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
        return error_of(path, "cannot take its space on disk", errno);
    }
#endif
    return {};
}

}  // namespace

Result<NewFile> NewFile::create(const std::string& path, uint64_t bytes, bool replace) {
    struct stat there {};
    if (stat(path.c_str(), &there) == 0) {
        if (!S_ISREG(there.st_mode))
            return Error{Code::kInvalid, fmt::format("{} is not a regular file", path)};
        if (!replace)
            return Error{Code::kInvalid,
                         fmt::format("{} exists already; --force replaces it", path)};
    }
    NewFile file;
    file.path_ = path;
    const std::string part = path + ".part";
    TENON_TRY(file.fd_, open_locked(path, part));
    file.part_ = part;
    file.replace_ = replace;
    if (ftruncate(file.fd_, 0) != 0) return file.failed("cannot be emptied");
    TENON_CHECK(reserve(file.fd_, path, bytes));
    return file;
}

NewFile::NewFile(NewFile&& other) noexcept { *this = std::move(other); }

NewFile& NewFile::operator=(NewFile&& other) noexcept {
    if (this == &other) return *this;
    discard();
    path_ = std::move(other.path_);
    part_ = std::exchange(other.part_, {});
    fd_ = std::exchange(other.fd_, -1);
    size_ = other.size_;
    replace_ = other.replace_;
    return *this;
}

NewFile::~NewFile() { discard(); }

void NewFile::discard() noexcept {
    if (fd_ < 0) return;
    if (!part_.empty()) unlink(part_.c_str());
    close(std::exchange(fd_, -1));
}

Error NewFile::failed(const char* what) const { return error_of(path_, what, errno); }

Status NewFile::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t wrote = ::write(fd_, bytes.data(), bytes.size());
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0) return failed("cannot be written");
        size_ += static_cast<uint64_t>(wrote);
        bytes = bytes.subspan(static_cast<size_t>(wrote));
    }
    return {};
}

Status NewFile::commit() {
    if (ftruncate(fd_, static_cast<off_t>(size_)) != 0) return failed("cannot be cut to its size");
    if (fsync(fd_) != 0) return failed("cannot be made durable");
    if (replace_) {
        if (rename(part_.c_str(), path_.c_str()) != 0)
            return failed("cannot be renamed into place");
    } else {
        // A link does not overwrite what appeared meanwhile.
        if (link(part_.c_str(), path_.c_str()) == 0) {
            unlink(part_.c_str());
        } else if (errno == EEXIST) {
            return Error{Code::kInvalid,
                         fmt::format("{} exists already; --force replaces it", path_)};
        } else if (rename(part_.c_str(), path_.c_str()) != 0) {
            return failed("cannot be renamed into place");
        }
    }
    part_.clear();
    // The name is durable once its folder is.
    const int folder = open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder >= 0) {
        static_cast<void>(fsync(folder));
        close(folder);
    }
    close(std::exchange(fd_, -1));
    return {};
}

}  // namespace tenon::formats
