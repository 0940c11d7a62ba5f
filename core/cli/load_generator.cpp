#include "core/cli/load_generator.h"

#include "core/cli/load_stream.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>

namespace tenon::cli {

namespace {

using Clock = std::chrono::steady_clock;

// How often the cancel word is looked at and progress is shown.
constexpr std::chrono::milliseconds kTick{20};

// A run of the generator; outlives its requests.
class LoadRun {
public:
    LoadRun(net::Client& client, const LoadSchedule& schedule,
            const std::function<net::ClientRequest(uint32_t)>& make)
        : client_(client), schedule_(schedule), make_(make) {}

    LoadResult run(const uint32_t* cancel, const std::function<void(uint64_t, uint64_t)>& show) {
        start_ = Clock::now();
        const std::vector<double> arrivals = arrival_times(schedule_);
        const uint32_t at_once = std::min(schedule_.concurrency, schedule_.requests);
        size_t sent = 0;
        if (arrivals.empty()) {
            for (uint32_t i = 0; i < at_once; ++i)
                send_next(Clock::now());
        }
        while (true) {
            Clock::time_point wake = Clock::now() + kTick;
            while (sent < arrivals.size() && !is_stopping_) {
                const Clock::time_point due =
                    start_ + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(arrivals[sent]));
                if (due > Clock::now()) {
                    wake = std::min(wake, due);
                    break;
                }
                send_next(due);
                ++sent;
            }
            std::unique_lock lock(mutex_);
            changed_.wait_until(lock, wake, [&] { return is_complete(); });
            const uint64_t ended = ended_;
            if (is_complete()) break;
            lock.unlock();
            if (show) show(ended, schedule_.requests);
            if (cancel != nullptr && __atomic_load_n(cancel, __ATOMIC_RELAXED) != 0) stop();
        }
        LoadResult result;
        result.seconds = std::chrono::duration<double>(last_end_ - start_).count();
        result.in_flight_max = in_flight_max_;
        result.interrupted = is_stopping_;
        result.records.assign(std::make_move_iterator(records_.begin()),
                              std::make_move_iterator(records_.end()));
        return result;
    }

private:
    bool is_complete() const {
        return calls_.empty() && (is_stopping_ || ended_ == schedule_.requests);
    }

    // A request that is counted as in flight and not sent yet.
    struct Slot {
        uint32_t number;
        LoadRecord* record;
    };
    // The next one, if one may be sent. The mutex is held.
    std::optional<Slot> reserve() {
        if (is_stopping_ || records_.size() >= schedule_.requests) return std::nullopt;
        const Slot slot{static_cast<uint32_t>(records_.size()), &records_.emplace_back()};
        calls_[slot.number] = nullptr;
        in_flight_max_ = std::max(in_flight_max_, static_cast<uint32_t>(calls_.size()));
        return slot;
    }

    void send_next(Clock::time_point due) {
        std::unique_lock lock(mutex_);
        const std::optional<Slot> slot = reserve();
        lock.unlock();
        if (slot.has_value()) send(*slot, due);
    }

    void send(Slot slot, Clock::time_point due) {
        auto stream = std::make_shared<LoadStream>(*slot.record, due);
        net::ClientCallbacks callbacks;
        callbacks.on_head = [stream](int status, const net::Headers& headers) {
            stream->head(status, headers);
        };
        callbacks.on_body = [stream](std::string_view bytes) {
            stream->bytes(bytes, Clock::now());
        };
        callbacks.on_end = [this, stream, number = slot.number](const Status& status) {
            const Clock::time_point now = Clock::now();
            stream->end(status, now);
            std::optional<Slot> next;
            {
                const std::lock_guard lock(mutex_);
                calls_.erase(number);
                ++ended_;
                last_end_ = std::max(last_end_, now);
                if (schedule_.rate <= 0) next = reserve();
                if (is_complete()) changed_.notify_all();
            }
            if (next.has_value()) send(*next, now);
        };
        net::ClientRequest request = make_(slot.number);
        const std::lock_guard lock(mutex_);
        const std::shared_ptr<net::ClientCall> call =
            client_.start(std::move(request), std::move(callbacks));
        calls_[slot.number] = call;
        if (is_stopping_) call->cancel();
    }

    void stop() {
        const std::lock_guard lock(mutex_);
        is_stopping_ = true;
        for (const auto& [number, call] : calls_) {
            if (call != nullptr) call->cancel();
        }
    }

    net::Client& client_;
    const LoadSchedule& schedule_;
    const std::function<net::ClientRequest(uint32_t)>& make_;
    Clock::time_point start_, last_end_{};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<LoadRecord> records_;                              // addresses stay
    std::map<uint32_t, std::shared_ptr<net::ClientCall>> calls_;  // in flight
    uint64_t ended_ = 0;
    uint32_t in_flight_max_ = 0;
    bool is_stopping_ = false;
};

}  // namespace

std::vector<double> arrival_times(const LoadSchedule& schedule) {
    std::vector<double> times;
    if (schedule.rate <= 0) return times;
    std::mt19937_64 random(schedule.seed);
    double at = 0;
    for (uint32_t i = 0; i < schedule.requests; ++i) {
        times.push_back(at);
        // 53 random bits: 0 <= u < 1.
        const double u = static_cast<double>(random() >> 11) * 0x1p-53;
        at += -std::log1p(-u) / schedule.rate;
    }
    return times;
}

LoadResult run_load(net::Client& client, const LoadSchedule& schedule,
                    const std::function<net::ClientRequest(uint32_t)>& make, const uint32_t* cancel,
                    const std::function<void(uint64_t, uint64_t)>& on_progress) {
    return LoadRun(client, schedule, make).run(cancel, on_progress);
}

}  // namespace tenon::cli
