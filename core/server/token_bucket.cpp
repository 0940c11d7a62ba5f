#include "core/server/token_bucket.h"

#include <algorithm>
#include <iterator>

namespace tenon::server {

void TokenBucket::fill(Clock::time_point now) {
    if (now <= filled_) return;
    const double seconds = std::chrono::duration<double>(now - filled_).count();
    level_ = std::min(burst_, level_ + seconds * per_second_);
    filled_ = now;
}

double TokenBucket::wait_s(double cost, Clock::time_point now) {
    fill(now);
    const double needed = std::min(cost, burst_);
    // Rounding of the fill must not cost a whole further wait.
    return level_ >= needed - 1e-6 ? 0 : (needed - level_) / per_second_;
}

void TokenBucket::take(double cost, Clock::time_point now) {
    fill(now);
    level_ -= cost;
}

bool TokenBucket::is_full(Clock::time_point now) {
    fill(now);
    return level_ >= burst_ - 1e-6;
}

TokenBucket& BucketMap::at(const std::string& name, Clock::time_point now) {
    if (const auto found = buckets_.find(name); found != buckets_.end()) return found->second;
    // One sweep a second at most: a flood of new names pays a lookup each, not a walk each.
    if (buckets_.size() >= names_max_ && now - swept_ >= std::chrono::seconds(1)) {
        swept_ = now;
        for (auto at = buckets_.begin(); at != buckets_.end();)
            at = at->second.is_full(now) ? buckets_.erase(at) : std::next(at);
    }
    const std::string& place = buckets_.size() >= names_max_ ? std::string("*") : name;
    return buckets_.try_emplace(place, per_second_, burst_, now).first->second;
}

FailureLimiter::FailureLimiter(double per_minute, std::chrono::milliseconds block, size_t names_max)
    : failures_(per_minute / 60, per_minute, names_max), block_(block), names_max_(names_max) {}

double FailureLimiter::on_failure(const std::string& address, Clock::time_point now) {
    const auto found = blocked_until_.find(address);
    if (found != blocked_until_.end()) {
        if (found->second > now) return std::chrono::duration<double>(found->second - now).count();
        blocked_until_.erase(found);
    }
    TokenBucket& bucket = failures_.at(address, now);
    if (bucket.wait_s(1, now) == 0) {
        bucket.take(1, now);
        return 0;
    }
    if (blocked_until_.size() >= names_max_) {
        std::erase_if(blocked_until_, [&](const auto& entry) { return entry.second <= now; });
    }
    if (blocked_until_.size() < names_max_) blocked_until_[address] = now + block_;
    return std::chrono::duration<double>(block_).count();
}

}  // namespace tenon::server
