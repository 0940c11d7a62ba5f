// FakeHost: a host for a plugin's own unit tests, in the same process.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <tenon/abi.h>

namespace tenon::sdk {

// Owns a tenon_host that records logs and notifications and counts memory, which is never zero by
// luck. Outlives what was activated with it. Thread-safe.
class FakeHost {
public:
    struct Notification {
        uint64_t cookie;
        int32_t status;
    };

    FakeHost() {
        table_.size = sizeof table_;
        table_.revision = TENON_ABI_REVISION;
        table_.ctx = this;
        table_.log = [](void* ctx, int32_t level, tenon_str text) {
            FakeHost& self = *static_cast<FakeHost*>(ctx);
            const std::lock_guard<std::mutex> lock(self.mutex_);
            self.logs_.emplace_back(level, std::string(text.p, text.n));
        };
        table_.alloc = [](void* ctx, size_t bytes, size_t align) -> void* {
            FakeHost& self = *static_cast<FakeHost*>(ctx);
            const std::lock_guard<std::mutex> lock(self.mutex_);
            if (self.allocations_until_failure_ == 0) return nullptr;
            if (self.allocations_until_failure_ > 0) --self.allocations_until_failure_;
            void* p = nullptr;
            const size_t least = align < sizeof(void*) ? sizeof(void*) : align;
            if (posix_memalign(&p, least, bytes == 0 ? 1 : bytes) != 0) return nullptr;
            std::memset(p, 0xA5, bytes);
            self.bytes_live_ += bytes;
            return p;
        };
        table_.release = [](void* ctx, void* p, size_t bytes, size_t) {
            FakeHost& self = *static_cast<FakeHost*>(ctx);
            const std::lock_guard<std::mutex> lock(self.mutex_);
            self.bytes_live_ -= bytes;
            std::free(p);
        };
        table_.notify = [](void* ctx, uint64_t cookie, int32_t status) {
            FakeHost& self = *static_cast<FakeHost*>(ctx);
            const std::lock_guard<std::mutex> lock(self.mutex_);
            self.notifications_.push_back({cookie, status});
        };
    }
    FakeHost(const FakeHost&) = delete;
    FakeHost& operator=(const FakeHost&) = delete;

    const tenon_host* table() const noexcept { return &table_; }
    // The alloc after `count` further ones, and all after it, fail; a negative count: none does.
    void fail_allocation_after(int64_t count) {
        const std::lock_guard<std::mutex> lock(mutex_);
        allocations_until_failure_ = count;
    }
    size_t bytes_live() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return bytes_live_;
    }
    std::vector<Notification> notifications() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return notifications_;
    }
    std::vector<std::pair<int32_t, std::string>> logs() const {
        const std::lock_guard<std::mutex> lock(mutex_);
        return logs_;
    }

private:
    mutable std::mutex mutex_;
    tenon_host table_{};
    std::vector<std::pair<int32_t, std::string>> logs_;
    std::vector<Notification> notifications_;
    size_t bytes_live_ = 0;
    int64_t allocations_until_failure_ = -1;
};

}  // namespace tenon::sdk
