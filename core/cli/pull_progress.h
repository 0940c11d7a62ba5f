// What a person sees of a download: a bar with rate and time left on a terminal, plain lines now and
// then elsewhere. All on standard error.
#pragma once

#include "core/hub/pull.h"

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace tenon::cli {

// One line of the bar for a terminal of `columns`: "name  45 % [####    ] 44.3/98.4 MB  35.1 MB/s
// 0:02 left". A rate of 0 is not known yet; total 0: no bar, only what came.
std::string bar_text(std::string_view what, uint64_t done, uint64_t total, double bytes_per_second,
                     size_t columns);
// "0:02", "1:02:03"; "" above 99 hours.
std::string time_text(double seconds);

class PullProgress {
public:
    // `verb` begins plain lines.
    explicit PullProgress(std::string verb);
    ~PullProgress() { wipe(); }
    PullProgress(const PullProgress&) = delete;
    PullProgress& operator=(const PullProgress&) = delete;

    // Valid as long as this lives.
    hub::PullWatch watch();
    // Takes the bar away.
    void wipe();

private:
    using Clock = std::chrono::steady_clock;
    struct Sample {
        Clock::time_point time;
        uint64_t bytes;
    };

    void start(const std::string& what, uint64_t total, const std::string& source);
    void show(hub::Phase phase, uint64_t done, uint64_t total);
    void note(const std::string& sentence);
    double rate() const;

    std::string verb_, what_;
    bool is_terminal_;
    bool is_drawn_ = false;
    hub::Phase phase_ = hub::Phase::kFetching;
    Clock::time_point last_{};
    std::deque<Sample> samples_;
};

}  // namespace tenon::cli
