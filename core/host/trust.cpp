#include "core/host/trust.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace tenon::host {
namespace {

Error refuse(const std::string& path, std::string_view sentence) {
    return Error{Code::kInvalid, fmt::format("{} {}.", path, sentence)};
}

const char* kind_of(mode_t mode) noexcept {
    if (S_ISREG(mode)) return "a regular file";
    if (S_ISDIR(mode)) return "a folder";
    if (S_ISLNK(mode)) return "a symbolic link";
    if (S_ISFIFO(mode)) return "a FIFO";
    if (S_ISSOCK(mode)) return "a socket";
    return "a device";
}

// Root's /tmp: others may add names, but only a name's owner may take it away.
bool is_sticky(const struct stat& s) noexcept {
    return S_ISDIR(s.st_mode) && s.st_uid == 0 && (s.st_mode & S_ISVTX) != 0;
}

// The process's root folder. By way of /proc where there is one: user-mode emulators show another
// folder under the name "/".
int open_root(int flags) noexcept {
    const int fd = open("/proc/self/root/", flags);
    return fd >= 0 ? fd : open("/", flags);
}

// Opens `name` in `parent` (or the root folder with parent -1) and checks its owner and mode.
// `last` is false for a step that only leads to another one.
Result<TrustedPath> open_step(int parent, const std::string& name, const std::string& path,
                              mode_t wanted, bool parent_admin_owned, uid_t caller, bool last) {
    // O_NONBLOCK: an open of a FIFO must not wait for its other end.
    const int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    Fd fd(parent < 0 ? open_root(flags) : openat(parent, name.c_str(), flags));
    if (!fd) {
        const int fault = errno;
        struct stat link;
        if (fault == ELOOP || (fault != ENOENT && parent >= 0 &&
                               fstatat(parent, name.c_str(), &link, AT_SYMLINK_NOFOLLOW) == 0 &&
                               S_ISLNK(link.st_mode))) {
            return refuse(path, "is a symbolic link; a plugin's path may hold none");
        }
        if (fault == ENOENT) return refuse(path, "does not exist");
        return refuse(path, fmt::format("cannot be opened: {}", std::strerror(fault)));
    }
    struct stat s;
    if (fstat(fd.get(), &s) != 0) {
        return refuse(path, fmt::format("cannot be examined: {}", std::strerror(errno)));
    }
    if ((s.st_mode & S_IFMT) != wanted) {
        return refuse(path, fmt::format("is {}, wanted {}", kind_of(s.st_mode), kind_of(wanted)));
    }
    if (s.st_uid != 0 && s.st_uid != caller) {
        return refuse(path,
                      fmt::format("belongs to user {}, wanted root or user {}", s.st_uid, caller));
    }
    const bool shared = (s.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (shared && (last || !is_sticky(s))) {
        return refuse(
            path,
            fmt::format("can be written by {} (mode {:04o}), wanted its owner alone",
                        (s.st_mode & S_IWOTH) != 0 ? "everyone" : "its group", s.st_mode & 07777));
    }
    TrustedPath step;
    step.fd = std::move(fd);
    step.path = path;
    step.admin_owned = parent_admin_owned && s.st_uid == 0 && !shared;
    return step;
}

}  // namespace

Result<TrustedPath> open_trusted_folder(const std::string& path, uid_t caller) {
    if (path.empty() || path[0] != '/') {
        return refuse(path.empty() ? "The empty path" : path, "is no absolute path");
    }
    if (path.find('\0') != std::string::npos) return refuse(path.c_str(), "holds a NUL byte");
    std::vector<std::string> names;
    for (size_t at = 0; at < path.size();) {
        const size_t end = std::min(path.find('/', at), path.size());
        if (end > at) names.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    for (const std::string& name : names) {
        if (name == "." || name == "..")
            return refuse(path, fmt::format("holds a step '{}'", name));
    }
    TENON_TRY(TrustedPath step, open_step(-1, "/", "/", S_IFDIR, true, caller, names.empty()));
    std::string walked;
    for (size_t i = 0; i < names.size(); ++i) {
        walked += "/" + names[i];
        TENON_TRY(step, open_step(step.fd.get(), names[i], walked, S_IFDIR, step.admin_owned,
                                  caller, i + 1 == names.size()));
    }
    return step;
}

Result<TrustedPath> open_trusted_folder_in(const TrustedPath& folder, const std::string& name,
                                           uid_t caller) {
    return open_step(folder.fd.get(), name, folder.path + "/" + name, S_IFDIR, folder.admin_owned,
                     caller, true);
}

Result<TrustedPath> open_trusted_file_in(const TrustedPath& folder, const std::string& name,
                                         uid_t caller) {
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
        return refuse(folder.path + "/" + name, "is no name inside its folder");
    }
    return open_step(folder.fd.get(), name, folder.path + "/" + name, S_IFREG, folder.admin_owned,
                     caller, true);
}

Result<std::vector<std::byte>> read_file(const TrustedPath& file, uint64_t bytes_max) {
    struct stat s;
    if (fstat(file.fd.get(), &s) != 0) {
        return refuse(file.path, fmt::format("cannot be examined: {}", std::strerror(errno)));
    }
    const uint64_t size = static_cast<uint64_t>(s.st_size);
    if (size > bytes_max) {
        return refuse(file.path, fmt::format("has {} bytes, at most {} are read", size, bytes_max));
    }
    std::vector<std::byte> bytes(size);
    uint64_t done = 0;
    while (done < size) {
        const ssize_t got =
            pread(file.fd.get(), bytes.data() + done, size - done, static_cast<off_t>(done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0)
            return refuse(file.path, fmt::format("cannot be read: {}", std::strerror(errno)));
        if (got == 0) return refuse(file.path, "became shorter while it was read");
        done += static_cast<uint64_t>(got);
    }
    return bytes;
}

Status check_allowed(const Trust& trust, const Manifest& manifest) {
    if (trust.mode == Trust::Mode::kOwner) return {};
    const std::string digest = to_hex(manifest.sha256);
    const AllowedPlugin* same_id = nullptr;
    for (const AllowedPlugin& allowed : trust.allowed) {
        if (allowed.id != manifest.id) continue;
        same_id = &allowed;
        if (allowed.version == manifest.version && allowed.sha256 == digest) return {};
    }
    if (same_id == nullptr) {
        return Error{Code::kInvalid,
                     fmt::format("Plugin {} is not on the allowlist.", manifest.id)};
    }
    if (same_id->version != manifest.version) {
        return Error{Code::kInvalid,
                     fmt::format("Plugin {} has version {}, the allowlist names {}.", manifest.id,
                                 manifest.version, same_id->version)};
    }
    return Error{Code::kInvalid, fmt::format("Plugin {} has sha256 {}, the allowlist names {}.",
                                             manifest.id, digest, same_id->sha256)};
}

}  // namespace tenon::host
