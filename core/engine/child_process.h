// A child process of the engine's kind: a socket to it, a page it writes, its standard error.
#pragma once

#include "core/base/result.h"

#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace tenon::engine {

// An owned descriptor.
class Descriptor {
public:
    explicit Descriptor(int fd = -1) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { reset(); }

    int get() const noexcept { return fd_; }
    void reset() noexcept;

private:
    int fd_;
};

// Move-only. A child that was not reaped is killed and reaped by the destructor, which waits a
// second at most.
class ChildProcess {
public:
    // Descriptors of the child, beside its standard ones. Nothing else of this process is open in
    // it.
    static constexpr int kSocketFd = 3, kPageFd = 4;

    // Starts argv[0] with the arguments and then "--socket 3 --page 4 --parent PID". The child has
    // the variables of this process, /dev/null as standard input, and SIGINT, SIGHUP and SIGTERM
    // blocked until it is ready for them. It is killed when the calling thread ends.
    static Result<ChildProcess> spawn(const std::vector<std::string>& argv, int page_fd,
                                      bool captures_errors);

    ChildProcess() = default;
    ChildProcess(ChildProcess&& other) noexcept;
    ChildProcess& operator=(ChildProcess&& other) noexcept;
    ~ChildProcess();

    pid_t pid() const noexcept { return pid_; }
    int socket() const noexcept { return socket_.get(); }  // non-blocking
    int errors() const noexcept { return errors_.get(); }  // non-blocking; -1: not captured
    int ended() const noexcept { return ended_.get(); }    // readable once the process has ended
    void close_socket() noexcept { socket_.reset(); }
    void close_errors() noexcept { errors_.reset(); }

    // Whether there is a process that was not reaped.
    explicit operator bool() const noexcept { return pid_ > 0; }
    void kill() noexcept;
    // Reaps it if it ends within `ms`; returns waitpid's status.
    std::optional<int> wait(int ms) noexcept;

private:
    pid_t pid_ = -1;
    Descriptor socket_, errors_, ended_;
};

// "exit code 3", "signal 11 (Segmentation fault)".
std::string describe_exit(int wait_status);

}  // namespace tenon::engine
