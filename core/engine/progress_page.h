// One page of memory shared by front and engine process: signs of life that need no message.
#pragma once

#include "core/base/result.h"

#include <atomic>
#include <cstdint>

namespace tenon::engine {

// Written by the engine process, read by the front. All start at 0.
struct ProgressWords {
    std::atomic<uint64_t> steps;      // finished
    std::atomic<uint64_t> progress;   // raised inside a step, by the backend or the loop
    std::atomic<uint64_t> heartbeat;  // raised by the thread that reads the socket
    std::atomic<uint32_t> is_busy;    // 1: inside a step
};
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
                  std::atomic<uint32_t>::is_always_lock_free,
              "two processes share these words; a lock would be private to each");

// Move-only owner of one mapping and, where it was created here, of its descriptor.
class ProgressPage {
public:
    // A fresh page; fd() is close-on-exec.
    static Result<ProgressPage> create();
    // Maps the page that another process created. `fd` is closed.
    static Result<ProgressPage> open(int fd);

    ProgressPage() = default;
    ProgressPage(ProgressPage&& other) noexcept;
    ProgressPage& operator=(ProgressPage&& other) noexcept;
    ~ProgressPage();

    ProgressWords& words() const noexcept { return *words_; }
    int fd() const noexcept { return fd_; }

private:
    ProgressWords* words_ = nullptr;
    int fd_ = -1;
};

}  // namespace tenon::engine
