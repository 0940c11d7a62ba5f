#include "core/cli/pull_progress.h"

#include "core/hub/byte_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include <sys/ioctl.h>
#include <unistd.h>

namespace tenon::cli {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kDrawEvery{100};
constexpr milliseconds kLineEvery{5000};   // where there is no terminal
constexpr milliseconds kRateWindow{5000};  // the rate is of so long
constexpr size_t kBarMin = 8, kBarMax = 30, kNameMax = 40;
constexpr size_t kTailWidth = 36;  // what stands behind the bar, so that it keeps its width

size_t columns_of_terminal() {
    winsize size{};
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// "44.3/98.4 MB" where the units are the same.
std::string share_text(uint64_t done, uint64_t total) {
    const std::string whole = hub::format_bytes(total);
    if (total == 0) return hub::format_bytes(done);
    std::string part = hub::format_bytes(done);
    const size_t space = whole.find(' ');
    if (part.substr(part.find(' ')) == whole.substr(space)) part.resize(part.find(' '));
    return part + "/" + whole;
}

}  // namespace

std::string time_text(double seconds) {
    if (seconds < 0 || seconds > 99.0 * 3600) return "";
    const auto whole = static_cast<uint64_t>(seconds + 0.5);
    if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string bar_text(std::string_view what, uint64_t done, uint64_t total, double bytes_per_second,
                     size_t columns) {
    std::string tail = share_text(done, total);
    if (bytes_per_second > 0) {
        tail += fmt::format("  {}/s", hub::format_bytes(static_cast<uint64_t>(bytes_per_second)));
        const std::string left =
            total > done ? time_text(static_cast<double>(total - done) / bytes_per_second) : "";
        if (!left.empty()) tail += fmt::format("  {} left", left);
    }
    const std::string name(what.substr(0, kNameMax));
    if (total == 0) return fmt::format("{}  {}", name, tail).substr(0, columns - 1);
    const std::string head = fmt::format("{}  {:3} %", name, done * 100 / total);
    // One column stays free: a full line would wrap.
    const size_t used = head.size() + std::max(tail.size(), kTailWidth) + 6;
    std::string bar;
    if (used + kBarMin < columns) {
        const size_t width = std::min(kBarMax, columns - used);
        bar = fmt::format("[{:<{}}] ", std::string(static_cast<size_t>(done * width / total), '#'),
                          width);
    }
    return fmt::format("{} {}{}", head, bar, tail).substr(0, columns - 1);
}

PullProgress::PullProgress(std::string verb)
    : verb_(std::move(verb)), is_terminal_(isatty(STDERR_FILENO) == 1) {}

hub::PullWatch PullProgress::watch() {
    hub::PullWatch watch;
    watch.on_start = [this](const std::string& what, uint64_t total, const std::string& source) {
        start(what, total, source);
    };
    watch.transfer.on_progress = [this](hub::Phase phase, uint64_t done, uint64_t total) {
        show(phase, done, total);
    };
    watch.transfer.on_note = [this](const std::string& sentence) { note(sentence); };
    return watch;
}

void PullProgress::wipe() {
    if (is_drawn_) fmt::print(stderr, "\r\x1b[K");
    is_drawn_ = false;
}

void PullProgress::start(const std::string& what, uint64_t total, const std::string& source) {
    what_ = what;
    last_ = Clock::now();
    samples_.clear();
    note(total > 0 ? fmt::format("fetching {} ({}) from {}", what, hub::format_bytes(total), source)
                   : fmt::format("fetching {} from {}", what, source));
}

void PullProgress::note(const std::string& sentence) {
    wipe();
    fmt::print(stderr, "tenon {}: {}\n", verb_, sentence);
    std::fflush(stderr);
}

double PullProgress::rate() const {
    if (samples_.size() < 2) return 0;
    const std::chrono::duration<double> time = samples_.back().time - samples_.front().time;
    const uint64_t bytes = samples_.back().bytes - samples_.front().bytes;
    return time.count() < 0.3 ? 0 : static_cast<double>(bytes) / time.count();
}

void PullProgress::show(hub::Phase phase, uint64_t done, uint64_t total) {
    const Clock::time_point now = Clock::now();
    // What was there before, and a new start, are no speed.
    if (phase != phase_ || (!samples_.empty() && done < samples_.back().bytes)) samples_.clear();
    phase_ = phase;
    if (samples_.empty() || now - samples_.back().time >= kDrawEvery)
        samples_.push_back({now, done});
    while (samples_.size() > 2 && now - samples_.front().time > kRateWindow)
        samples_.pop_front();
    if (now - last_ < (is_terminal_ ? kDrawEvery : kLineEvery)) return;
    last_ = now;
    const bool is_checking = phase == hub::Phase::kChecking;
    if (is_terminal_) {
        const std::string what = is_checking ? "checking " + what_ : what_;
        fmt::print(stderr, "\r\x1b[K{}",
                   bar_text(what, done, total, rate(), columns_of_terminal()));
        std::fflush(stderr);
        is_drawn_ = true;
        return;
    }
    if (is_checking || total == 0) return;
    const double speed = rate();
    const std::string left =
        speed > 0 ? time_text(static_cast<double>(total - std::min(done, total)) / speed) : "";
    note(fmt::format(
        "{} % of {}{}{}", done * 100 / total, hub::format_bytes(total),
        speed > 0 ? fmt::format(", {}/s", hub::format_bytes(static_cast<uint64_t>(speed))) : "",
        left.empty() ? "" : fmt::format(", {} left", left)));
}

}  // namespace tenon::cli
