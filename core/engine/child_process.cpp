#include "core/engine/child_process.h"

#include "core/config/environment.h"

#include <fmt/format.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 declares its functions without C linkage.
extern "C" {
#include <sys/pidfd.h>
}

namespace tenon::engine {

namespace {

// Descriptors of ours that go to a child lie above every number they get there.
constexpr int kAbove = 16;

Error failed(const char* what, int error) {
    return {Code::kOomHost,
            fmt::format("an engine process cannot be started: {}: {}", what, std::strerror(error))};
}

struct SpawnSetup {
    SpawnSetup() {
        posix_spawn_file_actions_init(&actions);
        posix_spawnattr_init(&attributes);
    }
    SpawnSetup(const SpawnSetup&) = delete;
    SpawnSetup& operator=(const SpawnSetup&) = delete;
    ~SpawnSetup() {
        posix_spawn_file_actions_destroy(&actions);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
};

}  // namespace

void Descriptor::reset() noexcept {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
}

Result<ChildProcess> ChildProcess::spawn(const std::vector<std::string>& argv, int page_fd,
                                         bool captures_errors) {
    ChildProcess child;
    int pair[2], ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return failed("socketpair", errno);
    child.socket_ = Descriptor(pair[0]);
    const Descriptor low(pair[1]);
    const Descriptor theirs(fcntl(low.get(), F_DUPFD_CLOEXEC, kAbove));
    const Descriptor page(fcntl(page_fd, F_DUPFD_CLOEXEC, kAbove));
    if (theirs.get() < 0 || page.get() < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK) != 0)
        return failed("fcntl", errno);
    Descriptor pipe_end;
    if (captures_errors) {
        if (pipe2(ends, O_CLOEXEC) != 0) return failed("pipe", errno);
        child.errors_ = Descriptor(ends[0]);
        const Descriptor low_end(ends[1]);
        pipe_end = Descriptor(fcntl(ends[1], F_DUPFD_CLOEXEC, kAbove));
        if (pipe_end.get() < 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
            return failed("fcntl", errno);
    }

    SpawnSetup setup;
    const int errors = captures_errors ? pipe_end.get() : STDERR_FILENO;
    posix_spawn_file_actions_addopen(&setup.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&setup.actions, errors, STDERR_FILENO);
    posix_spawn_file_actions_adddup2(&setup.actions, STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&setup.actions, theirs.get(), kSocketFd);
    posix_spawn_file_actions_adddup2(&setup.actions, page.get(), kPageFd);
    posix_spawn_file_actions_addclosefrom_np(&setup.actions, kPageFd + 1);

    sigset_t blocked, all;
    sigemptyset(&blocked);
    for (const int signal : {SIGINT, SIGHUP, SIGTERM})
        sigaddset(&blocked, signal);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&setup.attributes, &blocked);
    posix_spawnattr_setsigdefault(&setup.attributes, &all);
    posix_spawnattr_setflags(&setup.attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

    std::vector<std::string> words = argv;
    for (std::string word :
         {std::string("--socket"), std::to_string(kSocketFd), std::string("--page"),
          std::to_string(kPageFd), std::string("--parent"), std::to_string(getpid())})
        words.push_back(std::move(word));
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    if (const int error =
            posix_spawn(&child.pid_, words[0].c_str(), &setup.actions, &setup.attributes,
                        pointers.data(), config::inherited_environment());
        error != 0) {
        child.pid_ = -1;
        return failed(words[0].c_str(), error);
    }
    child.ended_ = Descriptor(pidfd_open(child.pid_, 0));
    if (child.ended_.get() < 0) return failed("pidfd_open", errno);
    return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      socket_(std::move(other.socket_)),
      errors_(std::move(other.errors_)),
      ended_(std::move(other.ended_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(socket_, other.socket_);
    std::swap(errors_, other.errors_);
    std::swap(ended_, other.ended_);
    return *this;
}

ChildProcess::~ChildProcess() {
    kill();
    if (*this) wait(1'000);
}

void ChildProcess::kill() noexcept {
    if (*this) ::kill(pid_, SIGKILL);
}

std::optional<int> ChildProcess::wait(int ms) noexcept {
    if (!*this) return {};
    pollfd ended{ended_.get(), POLLIN, 0};
    if (ended_.get() >= 0 && poll(&ended, 1, ms) <= 0) return {};
    int status = 0;
    if (waitpid(pid_, &status, ended_.get() >= 0 ? WNOHANG : 0) != pid_) return {};
    pid_ = -1;
    return status;
}

std::string describe_exit(int wait_status) {
    if (WIFSIGNALED(wait_status))
        return fmt::format("signal {} ({})", WTERMSIG(wait_status),
                           sigdescr_np(WTERMSIG(wait_status)));
    return fmt::format("exit code {}", WEXITSTATUS(wait_status));
}

}  // namespace tenon::engine
