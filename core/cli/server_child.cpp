#include "core/cli/server_child.h"

#include "core/config/environment.h"

#include <fmt/format.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kReadyWithin{300};  // large models load slowly from cold disks
constexpr std::chrono::seconds kEndWithin{10};
constexpr milliseconds kPoll{50};

// A port that nobody listens on now.
Result<uint16_t> free_port() {
    const int socket_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool is_found = socket_fd >= 0 && bind(socket_fd, generic, size) == 0 &&
                          getsockname(socket_fd, generic, &size) == 0;
    const int why = errno;
    if (socket_fd >= 0) close(socket_fd);
    if (!is_found) {
        return Error{Code::kBusy, fmt::format("no free port: {}", std::strerror(why))};
    }
    return ntohs(address.sin_port);
}

// Own process group: a Ctrl+C of the terminal reaches the test, which ends its server.
Result<pid_t> spawn(std::vector<std::string>& words) {
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
    pid_t pid = -1;
    const int error = posix_spawn(&pid, "/proc/self/exe", &actions, &attributes, pointers.data(),
                                  config::inherited_environment());
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    if (error == 0) return pid;
    return Error{Code::kInternal,
                 fmt::format("cannot start tenon serve: {}", std::strerror(error))};
}

}  // namespace

Result<ServerChild> ServerChild::start(const std::string& model,
                                       const std::vector<std::string>& options, net::Client& client,
                                       const uint32_t* cancel) {
    TENON_TRY(const uint16_t port, free_port());
    TENON_TRY(const uint16_t metrics_port, free_port());
    // Settings, because a flag among `options` beats them: few lines, and no wait before it ends.
    std::vector<std::string> words = {"tenon",          "serve",
                                      "--model",        model,
                                      "--host",         "127.0.0.1",
                                      "--port",         std::to_string(port),
                                      "--set",          "log.level=warn",
                                      "--metrics-port", std::to_string(metrics_port),
                                      "--set",          "limits.drain_delay_ms=1"};
    words.insert(words.end(), options.begin(), options.end());
    TENON_TRY(const pid_t pid, spawn(words));
    ServerChild child(pid, fmt::format("http://127.0.0.1:{}", port));
    TENON_CHECK(child.wait_until_ready(client, cancel));
    return child;
}

Status ServerChild::wait_until_ready(net::Client& client, const uint32_t* cancel) {
    const Clock::time_point end = Clock::now() + kReadyWithin;
    while (Clock::now() < end) {
        if (cancel != nullptr && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0) {
            return Error{Code::kCancelled, "interrupted while tenon serve was starting"};
        }
        int status = 0;
        if (waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            return Error{Code::kInvalid, "tenon serve ended before it was ready; see above"};
        }
        net::ClientRequest request;
        request.url = url_ + "/health";
        request.timeout = milliseconds(2000);
        const Result<net::HttpResponse> health = client.send(std::move(request));
        if (health.ok() && health->status == 200) return {};
        std::this_thread::sleep_for(kPoll);
    }
    return Error{Code::kTimeout,
                 fmt::format("tenon serve was not ready within {} s", kReadyWithin.count())};
}

ServerChild::~ServerChild() {
    if (pid_ <= 0) return;
    kill(pid_, SIGTERM);
    const Clock::time_point end = Clock::now() + kEndWithin;
    while (waitpid(pid_, nullptr, WNOHANG) == 0) {
        if (Clock::now() > end) {
            kill(pid_, SIGKILL);
            waitpid(pid_, nullptr, 0);
            return;
        }
        std::this_thread::sleep_for(kPoll);
    }
}

}  // namespace tenon::cli
