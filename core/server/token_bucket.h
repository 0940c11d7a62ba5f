// A rate with a burst, and many of them by name, bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>

namespace tenon::server {

using Clock = std::chrono::steady_clock;

// Fills at `per_second` up to `burst`. Not thread-safe.
class TokenBucket {
public:
    TokenBucket(double per_second, double burst, Clock::time_point now)
        : per_second_(per_second), burst_(burst), level_(burst), filled_(now) {}

    // Seconds until `cost` may be taken; 0: now. A cost above the burst waits for a full bucket.
    double wait_s(double cost, Clock::time_point now);
    // May leave the bucket in debt, which it fills first.
    void take(double cost, Clock::time_point now);
    bool is_full(Clock::time_point now);

private:
    void fill(Clock::time_point now);

    double per_second_, burst_, level_;
    Clock::time_point filled_;
};

// One bucket per name. Full buckets say nothing and are forgotten first; when all the places are
// taken, further names share one bucket. Not thread-safe.
class BucketMap {
public:
    BucketMap(double per_second, double burst, size_t names_max)
        : per_second_(per_second), burst_(burst), names_max_(names_max) {}

    TokenBucket& at(const std::string& name, Clock::time_point now);
    size_t size() const noexcept { return buckets_.size(); }

private:
    double per_second_, burst_;
    size_t names_max_;
    Clock::time_point swept_{};
    std::unordered_map<std::string, TokenBucket> buckets_;
};

// Wrong keys by address: above the limit the address is told to wait. Not thread-safe.
class FailureLimiter {
public:
    FailureLimiter(double per_minute, std::chrono::milliseconds block, size_t names_max);

    // Counts one; seconds that the address is blocked for, 0: it is not.
    double on_failure(const std::string& address, Clock::time_point now);

private:
    BucketMap failures_;
    std::chrono::milliseconds block_;
    size_t names_max_;
    std::unordered_map<std::string, Clock::time_point> blocked_until_;
};

}  // namespace tenon::server
