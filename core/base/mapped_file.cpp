#include "core/base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "core/base/bytes.h"

namespace tenon {
namespace {

struct Mapping {
    std::atomic<bool> taken{false};
    std::atomic<uintptr_t> begin{0};  // 0: no live mapping here
    std::atomic<uintptr_t> end{0};
};
static_assert(std::atomic<uintptr_t>::is_always_lock_free);

constexpr int kMappingsMax = 512;
Mapping mappings[kMappingsMax];

int register_mapping(const std::byte* data, uint64_t size) noexcept {
    for (int slot = 0; slot < kMappingsMax; ++slot) {
        if (mappings[slot].taken.exchange(true)) continue;
        const auto begin = reinterpret_cast<uintptr_t>(data);
        mappings[slot].end.store(begin + size);
        mappings[slot].begin.store(begin);
        return slot;
    }
    return -1;
}

void unregister_mapping(int slot) noexcept {
    if (slot < 0) return;
    mappings[slot].begin.store(0);
    mappings[slot].taken.store(false);
}

const char* kind_of(mode_t mode) {
    if (S_ISDIR(mode)) return "a directory";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    if (S_ISCHR(mode)) return "a character device";
    if (S_ISBLK(mode)) return "a block device";
    return "not a regular file";
}

Error cannot(const char* verb, const std::string& path, int error) {
    return {Code::kInvalid, fmt::format("cannot {} {}: {}", verb, path, std::strerror(error))};
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
    if (path.find('\0') != std::string::npos)
        return Error{Code::kInvalid,
                     "cannot open a path that contains a NUL byte: " + printable(path)};
    MappedFile file;
    file.path_ = path;
    file.fd_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (file.fd_ < 0) {
        if (errno == ENXIO)  // what open(2) says of a socket
            return Error{Code::kInvalid, path +
                                             " is a socket or a device without a driver; a regular "
                                             "file is wanted"};
        return cannot("open", path, errno);
    }
    struct stat info {};
    if (::fstat(file.fd_, &info) != 0) return cannot("inspect", path, errno);
    if (!S_ISREG(info.st_mode))
        return Error{Code::kInvalid, fmt::format("{} is {}; a regular file is wanted", path,
                                                 kind_of(info.st_mode))};
    if (info.st_size <= 0) return Error{Code::kInvalid, fmt::format("{} is empty (0 bytes)", path)};
    file.mtime_s_ = info.st_mtim.tv_sec;
    file.mtime_ns_ = info.st_mtim.tv_nsec;

    const auto size = static_cast<uint64_t>(info.st_size);
    if (size > SIZE_MAX) return cannot("map", path, EFBIG);
    void* data = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd_, 0);
    if (data == MAP_FAILED) return cannot("map", path, errno);
    file.data_ = static_cast<const std::byte*>(data);
    file.size_ = size;
    file.slot_ = register_mapping(file.data_, size);
    TENON_CHECK(file.check_unchanged());
    return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    if (this == &other) return *this;
    close();
    path_ = std::move(other.path_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    fd_ = std::exchange(other.fd_, -1);
    mtime_s_ = other.mtime_s_;
    mtime_ns_ = other.mtime_ns_;
    slot_ = std::exchange(other.slot_, -1);
    return *this;
}

MappedFile::~MappedFile() { close(); }

void MappedFile::close() noexcept {
    unregister_mapping(slot_);
    slot_ = -1;
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
    data_ = nullptr;
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void MappedFile::release(uint64_t offset, uint64_t length) const noexcept {
    if (!data_ || offset >= size_) return;
    const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    const uint64_t end = length < size_ - offset ? offset + length : size_;
    const uint64_t first = (offset + page - 1) & ~(page - 1);
    // The last page of the file belongs to nobody else: it goes whole.
    const uint64_t last = end == size_ ? size_ : end & ~(page - 1);
    if (first < last) ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

void MappedFile::advise_sequential() const noexcept {
    if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_SEQUENTIAL);
}

Status MappedFile::check_unchanged() const {
    struct stat info {};
    if (fd_ < 0 || ::fstat(fd_, &info) != 0)
        return cannot("inspect", path_, fd_ < 0 ? EBADF : errno);
    if (static_cast<uint64_t>(info.st_size) != size_)
        return Error{Code::kData,
                     fmt::format("{} changed while in use: it had {} bytes, has {} bytes", path_,
                                 size_, info.st_size)};
    if (info.st_mtim.tv_sec != mtime_s_ || info.st_mtim.tv_nsec != mtime_ns_)
        return Error{Code::kData, fmt::format("{} was written to while in use", path_)};
    return {};
}

bool is_mapped_file(const void* address) noexcept {
    const auto at = reinterpret_cast<uintptr_t>(address);
    for (const Mapping& mapping : mappings) {
        const uintptr_t begin = mapping.begin.load();
        if (begin != 0 && begin <= at && at < mapping.end.load()) return true;
    }
    return false;
}

}  // namespace tenon
