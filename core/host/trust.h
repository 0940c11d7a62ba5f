// Which files may become code: owners and modes of every step of a path, and the allowlist.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "core/host/manifest.h"

namespace tenon::host {

// Largest plugin file that is read.
constexpr uint64_t kPluginBytesMax = uint64_t{1} << 30;

// One plugin that the operator names.
struct AllowedPlugin {
    std::string id;
    std::string version;
    std::string sha256;  // 64 lower-case hexadecimal digits
};

// owner: every step of the path belongs to root or the caller, and only they can write it.
// allowlist: that, and the plugin is in `allowed` with its version and digest.
struct Trust {
    enum class Mode { kOwner, kAllowlist };
    Mode mode = Mode::kOwner;
    std::vector<AllowedPlugin> allowed;
    uid_t caller = geteuid();
};

// Owns a file descriptor. Move-only.
class Fd {
public:
    Fd() = default;
    explicit Fd(int fd) noexcept : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    Fd(const Fd&) = delete;
    Fd& operator=(const Fd&) = delete;
    ~Fd() {
        if (fd_ >= 0) close(fd_);
    }
    int get() const noexcept { return fd_; }
    explicit operator bool() const noexcept { return fd_ >= 0; }
    // Gives up ownership.
    int release() noexcept { return std::exchange(fd_, -1); }

private:
    int fd_ = -1;
};

// An opened file or folder whose whole path passed the owner check.
struct TrustedPath {
    Fd fd;
    std::string path;
    // Every step belongs to root and nobody else can write it: the path itself can be relied on.
    bool admin_owned = false;
};

// Opens `path`, absolute and without "." or "..", step by step without following symbolic links, and
// checks each step as Trust says. A root-owned sticky folder that others can write (such as /tmp) is
// accepted as a step when the next one belongs to root or `caller`. kInvalid names the step that was
// refused; a missing one is kInvalid too, with "does not exist".
Result<TrustedPath> open_trusted_folder(const std::string& path, uid_t caller);
// The same for one name inside an opened folder: a folder or a regular file. Never blocks on a FIFO.
Result<TrustedPath> open_trusted_folder_in(const TrustedPath& folder, const std::string& name,
                                           uid_t caller);
Result<TrustedPath> open_trusted_file_in(const TrustedPath& folder, const std::string& name,
                                         uid_t caller);

// Whole content of a regular file, read through its descriptor; kInvalid above bytes_max.
Result<std::vector<std::byte>> read_file(const TrustedPath& file, uint64_t bytes_max);

// Whether the allowlist, if that is the mode, names this plugin. kInvalid says what it lacks.
Status check_allowed(const Trust& trust, const Manifest& manifest);

}  // namespace tenon::host
