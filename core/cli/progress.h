// A bar on a terminal, for work that takes long enough to be noticed.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tenon::cli {

// Draws on standard error, at most ten times a second, only where that is a terminal and only after
// a quarter of a second. Wipes itself when destroyed.
class Progress {
public:
    explicit Progress(std::string what);
    ~Progress();
    Progress(const Progress&) = delete;
    Progress& operator=(const Progress&) = delete;

    void show(uint64_t done, uint64_t total);

private:
    std::string what_;
    bool terminal_;
    bool drawn_ = false;
    std::chrono::steady_clock::time_point start_, last_;
};

}  // namespace tenon::cli
