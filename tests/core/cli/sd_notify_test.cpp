#include "core/cli/sd_notify.h"

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace tenon::cli {
namespace {

// The manager's end: a datagram socket with a path or an abstract name.
class Manager {
public:
    explicit Manager(const std::string& name) : name_(name) {
        fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, name.data(), name.size());
        if (name[0] == '@') address.sun_path[0] = '\0';
        const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() +
                                                 (name[0] == '@' ? 0 : 1));
        EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), size), 0);
    }
    ~Manager() {
        close(fd_);
        if (name_[0] != '@') unlink(name_.c_str());
    }
    std::string read() {
        char text[256];
        const ssize_t n = recv(fd_, text, sizeof text, 0);
        return n < 0 ? "" : std::string(text, static_cast<size_t>(n));
    }

private:
    std::string name_;
    int fd_;
};

TEST(ServiceManager, SendsEachStateAsOneDatagram) {
    const std::string number = std::to_string(getpid());
    for (const std::string& name : {testing::TempDir() + "notify_" + number, "@tenon_" + number}) {
        Manager manager(name);
        ServiceManager service(name);
        EXPECT_TRUE(service.is_there()) << name;
        EXPECT_TRUE(service.notify("READY=1\nSTATUS=serving"));
        EXPECT_EQ(manager.read(), "READY=1\nSTATUS=serving");
    }
}

TEST(ServiceManager, WithoutAManagerNothingHappens) {
    for (const std::string& name :
         {std::string(), std::string("/nowhere/notify"), std::string("relative"),
          std::string(500, 'x'), "/" + std::string(500, 'x')}) {
        ServiceManager service(name);
        EXPECT_FALSE(service.is_there());
        EXPECT_FALSE(service.notify("READY=1"));
    }
}

TEST(ServiceManager, AManagerThatReadsNothingBlocksNobody) {
    const std::string name = "@tenon_full_" + std::to_string(getpid());
    Manager manager(name);
    ServiceManager service(name);
    bool refused = false;
    for (int i = 0; i < 100'000 && !refused; ++i)
        refused = !service.notify("WATCHDOG=1");
    EXPECT_TRUE(refused);
}

TEST(WatchdogInterval, IsHalfOfWhatTheManagerWaits) {
    EXPECT_EQ(watchdog_interval("20000000", "")->count(), 10'000'000);
    EXPECT_EQ(watchdog_interval("20000000", std::to_string(getpid()))->count(), 10'000'000);
    EXPECT_FALSE(watchdog_interval("20000000", "1"));
    for (const char* text : {"", "0", "-5", "x", "20s"})
        EXPECT_FALSE(watchdog_interval(text, "")) << text;
}

}  // namespace
}  // namespace tenon::cli
