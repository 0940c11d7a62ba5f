#include "backends/vulkan/pipeline_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace tenon::vulkan {
namespace {

constexpr uint64_t kBytesMax = uint64_t{256} << 20;
constexpr uint32_t kVersion = 2;
constexpr char kMagic[] = "TENONVKC";

// In front of the driver's bytes.
struct Header {
    char magic[8];
    uint32_t version;
    CacheOwner owner;
    uint64_t bytes;
    uint64_t checksum;  // of the bytes behind it, and of owner and bytes
};
static_assert(sizeof(CacheOwner) == 44 && sizeof(Header) == 72, "no padding: headers are compared");

// FNV-1a, 64 bits.
uint64_t checksum(uint64_t sum, const void* from, size_t count) noexcept {
    const auto* bytes = static_cast<const uint8_t*>(from);
    for (size_t i = 0; i < count; ++i)
        sum = (sum ^ bytes[i]) * 0x100000001b3u;
    return sum;
}

uint64_t checksum(const Header& header, const std::vector<uint8_t>& bytes) noexcept {
    const uint64_t sum = checksum(0xcbf29ce484222325u, &header, offsetof(Header, checksum));
    return checksum(sum, bytes.data(), bytes.size());
}

class File {
public:
    explicit File(int number) noexcept : number_(number) {}
    ~File() {
        if (number_ >= 0) ::close(number_);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    operator int() const noexcept { return number_; }
    bool close() noexcept {
        const int number = number_;
        number_ = -1;
        return ::close(number) == 0;
    }

private:
    int number_;
};

bool read_all(int file, void* to, size_t count) noexcept {
    auto* bytes = static_cast<uint8_t*>(to);
    for (size_t done = 0; done < count;) {
        const ssize_t got = read(file, bytes + done, count - done);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        done += static_cast<size_t>(got);
    }
    return true;
}

bool write_all(int file, const void* from, size_t count) noexcept {
    const auto* bytes = static_cast<const uint8_t*>(from);
    for (size_t done = 0; done < count;) {
        const ssize_t put = write(file, bytes + done, count - done);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) {
            if (put == 0) errno = ENOSPC;
            return false;
        }
        done += static_cast<size_t>(put);
    }
    return true;
}

// Whether `path` still names this file.
bool is_named(int file, const char* path) noexcept {
    struct stat own {};
    struct stat named {};
    return fstat(file, &own) == 0 && lstat(path, &named) == 0 && S_ISREG(own.st_mode) &&
           own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

}  // namespace

CacheState read_cache(const std::string& path, const CacheOwner& owner,
                      std::vector<uint8_t>& bytes) {
    bytes.clear();
    // A pipe of that name must not block.
    const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (file < 0) return CacheState::kAbsent;
    Header seen{};
    struct stat facts {};
    if (fstat(file, &facts) != 0 || !S_ISREG(facts.st_mode) ||
        !read_all(file, &seen, sizeof seen) ||
        std::memcmp(seen.magic, kMagic, sizeof seen.magic) != 0 || seen.bytes > kBytesMax ||
        static_cast<uint64_t>(facts.st_size) != sizeof seen + seen.bytes)
        return CacheState::kDamaged;
    bytes.resize(seen.bytes);
    CacheState state = CacheState::kUsed;
    if (!read_all(file, bytes.data(), bytes.size()) || checksum(seen, bytes) != seen.checksum) {
        state = CacheState::kDamaged;
    } else if (seen.version != kVersion || std::memcmp(&seen.owner, &owner, sizeof owner) != 0) {
        state = CacheState::kForeign;
    }
    if (state != CacheState::kUsed) bytes.clear();
    return state;
}

// One name for the new file, whoever writes it: what killed processes leave is at most one file, and
// the lock on it says that nobody writes it now. No fsync: what a power cut leaves, the checksum finds.
bool write_cache(const std::string& path, const CacheOwner& owner,
                 const std::vector<uint8_t>& bytes) {
    if (bytes.size() > kBytesMax) return true;
    const std::string part = path + ".part";
    File file(open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (file < 0) return false;
    if (flock(file, LOCK_EX | LOCK_NB) != 0) return errno == EWOULDBLOCK;
    // Between open and lock another process may have finished it: then it is the cache already.
    if (!is_named(file, part.c_str())) return true;
    Header header{};
    std::memcpy(header.magic, kMagic, sizeof header.magic);
    header.version = kVersion;
    header.owner = owner;
    header.bytes = bytes.size();
    header.checksum = checksum(header, bytes);
    if (ftruncate(file, 0) == 0 && write_all(file, &header, sizeof header) &&
        write_all(file, bytes.data(), bytes.size()) && rename(part.c_str(), path.c_str()) == 0)
        return file.close();
    const int why = errno;
    unlink(part.c_str());
    errno = why;
    return false;
}

}  // namespace tenon::vulkan
