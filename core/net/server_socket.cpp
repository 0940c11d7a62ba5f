#include "core/net/server_socket.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace tenon::net {
namespace {

Error cannot_listen(const std::string& where, int error) {
    const char* const reason = error == EADDRINUSE ? "the address is in use" : std::strerror(error);
    return {Code::kConfig, fmt::format("cannot listen on {}: {}", where, reason)};
}

Result<Listener> listen_unix(const std::string& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof(address.sun_path)) {
        return Error{Code::kConfig, fmt::format("the path '{}' of a unix socket must have 1 to {} "
                                                "bytes",
                                                path, sizeof(address.sun_path) - 1)};
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    const auto* const raw = reinterpret_cast<const sockaddr*>(&address);
    // A socket file that nobody listens on is left over from a run that was killed.
    struct stat found {};
    if (lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) {
        const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (probe >= 0 && connect(probe, raw, sizeof(address)) != 0 && errno == ECONNREFUSED) {
            unlink(path.c_str());
        }
        if (probe >= 0) close(probe);
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return cannot_listen(path, errno);
    if (bind(fd, raw, sizeof(address)) != 0 || listen(fd, SOMAXCONN) != 0) {
        const int error = errno;
        close(fd);
        return cannot_listen(path, error);
    }
    return Listener{.fd = fd, .port = 0, .unix_path = path};
}

}  // namespace

Result<Listener> listen_on(const std::string& host, uint16_t port) {
    if (host.compare(0, 5, "unix:") == 0) return listen_unix(host.substr(5));
    const std::string where = fmt::format("{}:{}", host, port);
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    addrinfo* found = nullptr;
    const int failed = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
    if (failed != 0) {
        return Error{Code::kConfig,
                     fmt::format("cannot listen on {}: {}", where, gai_strerror(failed))};
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(found, freeaddrinfo);
    int error = EADDRNOTAVAIL;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        const int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0) {
            error = errno;
            continue;
        }
        const int one = 1, zero = 0;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
        if (at->ai_family == AF_INET6) {  // "::" takes IPv4 too
            setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
        }
        sockaddr_storage bound{};
        socklen_t size = sizeof(bound);
        if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0 &&
            getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &size) == 0) {
            const uint16_t network_port =
                bound.ss_family == AF_INET ? reinterpret_cast<const sockaddr_in&>(bound).sin_port
                                           : reinterpret_cast<const sockaddr_in6&>(bound).sin6_port;
            return Listener{.fd = fd, .port = ntohs(network_port), .unix_path = {}};
        }
        error = errno;
        close(fd);
    }
    return cannot_listen(where, error);
}

void prepare_accepted(int fd) {
    const auto set = [fd](int level, int name, int value) {
        setsockopt(fd, level, name, &value, sizeof(value));
    };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);
    set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
    set(IPPROTO_TCP, TCP_KEEPCNT, 3);
    set(IPPROTO_TCP, TCP_USER_TIMEOUT, 30'000);
    set(IPPROTO_TCP, TCP_NOTSENT_LOWAT, 64 << 10);
}

uint32_t connections_max(uint32_t wanted) {
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur == RLIM_INFINITY) return wanted;
    const uint64_t half = std::max<uint64_t>(1, files.rlim_cur / 2);
    return static_cast<uint32_t>(std::min<uint64_t>(wanted, half));
}

}  // namespace tenon::net
