#include "core/cli/progress.h"

#include <fmt/format.h>

#include <cstdio>

#include <unistd.h>

namespace tenon::cli {

Progress::Progress(std::string what)
    : what_(std::move(what)),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_(start_) {}

Progress::~Progress() {
    if (drawn_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::show(uint64_t done, uint64_t total) {
    using std::chrono::milliseconds;
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || total == 0 || now - start_ < milliseconds(250) ||
        now - last_ < milliseconds(100)) {
        return;
    }
    last_ = now;
    drawn_ = true;
    constexpr uint64_t kWidth = 30;
    const uint64_t filled = done * kWidth / total;
    fmt::print(stderr, "\r{} [{:<{}}] {:3}%", what_, std::string(filled, '#'), kWidth,
               done * 100 / total);
    std::fflush(stderr);
}

}  // namespace tenon::cli
