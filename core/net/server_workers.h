// The threads that run slow handlers, so that an I/O thread never waits for one.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace tenon::net {

class WorkerPool {
public:
    WorkerPool(uint32_t threads, size_t queue_max);
    ~WorkerPool() { stop(); }

    // False when the queue is full or the pool is stopped.
    bool run(std::function<void()> job);
    // Ends the running jobs, drops the waiting ones, joins.
    void stop();

private:
    void work();

    const size_t queue_max_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::deque<std::function<void()>> jobs_;
    bool stopped_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace tenon::net
