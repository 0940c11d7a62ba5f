#include "core/cli/sd_notify.h"

#include <charconv>
#include <cstddef>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

template <class T>
bool read_number(std::string_view text, T& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

ServiceManager::ServiceManager(const std::string& socket) {
    sockaddr_un address{};
    const bool is_usable = !socket.empty() && (socket[0] == '/' || socket[0] == '@') &&
                           socket.size() < sizeof address.sun_path;
    if (!is_usable) return;
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, socket.data(), socket.size());
    if (socket[0] == '@') address.sun_path[0] = '\0';
    socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (socket_ < 0) return;
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + socket.size() +
                                             (socket[0] == '@' ? 0 : 1));
    if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
        close(socket_);
        socket_ = -1;
    }
}

ServiceManager::~ServiceManager() {
    if (socket_ >= 0) close(socket_);
}

bool ServiceManager::notify(std::string_view state) {
    return socket_ >= 0 && send(socket_, state.data(), state.size(), MSG_NOSIGNAL) ==
                               static_cast<ssize_t>(state.size());
}

std::optional<std::chrono::microseconds> watchdog_interval(const std::string& usec,
                                                           const std::string& pid) {
    int64_t interval = 0;
    pid_t wanted = 0;
    if (!read_number(usec, interval) || interval < 2) return std::nullopt;
    if (!pid.empty() && (!read_number(pid, wanted) || wanted != getpid())) return std::nullopt;
    return std::chrono::microseconds(interval / 2);
}

}  // namespace tenon::cli
