// What the service manager is told: sd_notify(3), without its library.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tenon::cli {

// One datagram per state to the manager's socket; without a socket everything does nothing.
class ServiceManager {
public:
    // `socket`: a path, or an abstract name that begins with '@'; empty: no manager.
    explicit ServiceManager(const std::string& socket);
    ~ServiceManager();
    ServiceManager(const ServiceManager&) = delete;
    ServiceManager& operator=(const ServiceManager&) = delete;

    // Lines such as "READY=1\nSTATUS=serving". Never blocks; false when it was not taken.
    bool notify(std::string_view state);
    bool is_there() const noexcept { return socket_ >= 0; }

private:
    int socket_ = -1;
};

// Half of WATCHDOG_USEC, when it is meant for this process; nothing: no watchdog.
std::optional<std::chrono::microseconds> watchdog_interval(const std::string& usec,
                                                           const std::string& pid);

}  // namespace tenon::cli
