// The threads that run a step: the caller of run() and threads - 1 workers.
//
// A job is phases of units. Threads claim units one by one; the one that finishes the last unit of a
// phase opens the next. So nobody waits for a thread that the system has put aside before it claimed
// anything: with processors shared, a step runs on those that it has. Waiting spins for at most
// spin_us, then sleeps on a futex; between jobs the workers cost nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace tenon::cpu {

constexpr uint32_t kUnitsMax = 0xffff;  // units of one phase

class Job {
public:
    virtual ~Job() = default;
    // Units of `phase`, at most kUnitsMax. Called by one thread, when all earlier phases are done.
    virtual uint32_t units(uint32_t phase) noexcept = 0;
    // Runs one unit. Concurrent; `thread` says which scratch is the caller's.
    virtual void run(uint32_t phase, uint32_t unit, uint32_t thread) noexcept = 0;
    // A phase is done. False ends the job. Called by one thread.
    virtual bool finished(uint32_t phase) noexcept = 0;
};

class ThreadPool {
public:
    // pin: worker i stays on the i-th processor of the process's mask.
    ThreadPool(uint32_t threads, uint32_t spin_us, bool pin);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    uint32_t threads() const noexcept { return threads_; }

    // Runs all phases of the job; the caller is thread 0. One run at a time.
    void run(Job& job, uint32_t phases) noexcept;

private:
    void work(uint32_t thread) noexcept;
    // Claims and runs one unit of the open phase; false when none is left.
    bool help(uint32_t thread) noexcept;
    // Opens the first phase from `phase` on that has units, or ends the job.
    void open(uint32_t phase) noexcept;
    void publish(uint64_t ticket) noexcept;
    // Spins, then sleeps, until the ticket is no longer `seen`.
    void wait_change(uint64_t seen) noexcept;

    // What everyone looks at: id of the open phase, units claimed, units in all.
    struct alignas(64) Shared {
        std::atomic<uint64_t> ticket{0};
        std::atomic<uint32_t> done{0};
        std::atomic<uint32_t> sleepers{0};
        std::atomic<uint32_t> wake{0};
    };

    uint32_t threads_;
    uint32_t spin_us_;
    Shared shared_;
    // Of the running job; read only by the caller of run() and by holders of a unit.
    Job* job_ = nullptr;
    uint32_t first_id_ = 0;
    uint32_t phases_ = 0;
    std::atomic<bool> stop_{false};
    std::vector<std::thread> workers_;
};

}  // namespace tenon::cpu
