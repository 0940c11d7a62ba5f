#include "core/hub/output_file.h"

#include "core/hub/byte_text.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

namespace tenon::hub {

namespace {

std::string folder_of(const std::string& path) {
    return std::filesystem::path(path).parent_path().string();
}

}  // namespace

Result<OutputFile> OutputFile::open(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file < 0) {
        return Error{Code::kInvalid,
                     fmt::format("cannot write {}: {}", path, std::strerror(errno))};
    }
    return OutputFile(file, path);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : file_(std::exchange(other.file_, -1)), path_(std::move(other.path_)) {}

OutputFile& OutputFile::operator=(OutputFile&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(path_, other.path_);
    return *this;
}

OutputFile::~OutputFile() {
    if (file_ >= 0) close(file_);
}

Status OutputFile::reserve(uint64_t size) {
    struct stat before {};
    if (fstat(file_, &before) != 0) return failed("read", errno);
    const uint64_t held = static_cast<uint64_t>(before.st_blocks) * 512;
    const uint64_t free = free_bytes(folder_of(path_));
    int number = size > held && size - held > free ? ENOSPC : 0;
    if (number == 0 && size > 0) {
        number = fallocate(file_, 0, 0, static_cast<off_t>(size)) == 0 ? 0 : errno;
        // Not every file system can; then the writes themselves will tell.
        if (number == EOPNOTSUPP || number == ENOSYS) number = 0;
        if (number == 0 && ftruncate(file_, static_cast<off_t>(size)) != 0) number = errno;
    }
    if (number == 0) return {};
    // Gives back what a failed call took; what cannot be given back is no reason of its own.
    static_cast<void>(cut(static_cast<uint64_t>(before.st_size)));
    if (number != ENOSPC && number != EDQUOT) return failed("write", number);
    return Error{Code::kOomHost,
                 fmt::format("the disk is full: {} are wanted and {} are free in {}",
                             format_bytes(size), format_bytes(free + held), folder_of(path_))};
}

Status OutputFile::write(uint64_t offset, std::string_view bytes) const {
    while (!bytes.empty()) {
        const ssize_t count = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) return failed("write", count < 0 ? errno : ENOSPC);
        bytes.remove_prefix(static_cast<size_t>(count));
        offset += static_cast<uint64_t>(count);
    }
    return {};
}

Status OutputFile::cut(uint64_t size) const {
    return ftruncate(file_, static_cast<off_t>(size)) == 0 ? Status() : failed("write", errno);
}

Status OutputFile::sync() const {
    return fdatasync(file_) == 0 ? Status() : failed("write", errno);
}

Error OutputFile::failed(const char* what, int number) const {
    if (number == ENOSPC || number == EDQUOT) {
        return {Code::kOomHost,
                fmt::format("the disk is full: {} are free in {}",
                            format_bytes(free_bytes(folder_of(path_))), folder_of(path_))};
    }
    return {number == EFBIG ? Code::kOomHost : Code::kInvalid,
            fmt::format("cannot {} {}: {}", what, path_, std::strerror(number))};
}

Status write_whole(const std::string& path, std::string_view text) {
    const std::string fresh = path + ".new";
    {
        static_cast<void>(unlink(fresh.c_str()));
        TENON_TRY(const OutputFile file, OutputFile::open(fresh));
        if (Status status = file.write(0, text); !status.ok()) {
            static_cast<void>(unlink(fresh.c_str()));
            return status;
        }
    }
    if (rename(fresh.c_str(), path.c_str()) != 0) {
        return Error{Code::kInvalid,
                     fmt::format("cannot write {}: {}", path, std::strerror(errno))};
    }
    return {};
}

std::string read_whole(const std::string& path, uint64_t bytes_max) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        static_cast<uint64_t>(status.st_size) > bytes_max) {
        return {};
    }
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

uint64_t free_bytes(const std::string& folder) {
    struct statvfs status {};
    if (statvfs(folder.empty() ? "." : folder.c_str(), &status) != 0) return 0;
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

}  // namespace tenon::hub
