// The threads that run a step: the caller of run() and threads - 1 workers.
//
// Waiting spins for at most spin_us, then sleeps on a futex; between steps the workers cost nothing.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace tenon::cpu {

// A counter that only grows, on a cache line of its own; one writer, many waiters.
struct alignas(64) Epoch {
    std::atomic<uint32_t> value{0};
    std::atomic<uint32_t> sleepers{0};

    void raise(uint32_t to) noexcept;
    // Returns once value has reached `to`.
    void wait(uint32_t to, uint32_t spin_us) noexcept;
};

class ThreadPool {
public:
    using Task = void (*)(void* context, uint32_t thread);

    // pin: worker i stays on the i-th processor of the process's mask.
    ThreadPool(uint32_t threads, uint32_t spin_us, bool pin);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    uint32_t threads() const noexcept { return threads_; }

    // Calls task(context, thread) once for each thread, the caller being thread 0, and returns when
    // all are done. One run at a time.
    void run(Task task, void* context) noexcept;

    // Inside a task: returns when every thread has called it as often.
    void barrier(uint32_t thread) noexcept;

private:
    void work(uint32_t thread) noexcept;

    uint32_t threads_;
    uint32_t spin_us_;
    Task task_ = nullptr;
    void* context_ = nullptr;
    bool stop_ = false; // ordered by start_
    Epoch start_;
    std::unique_ptr<Epoch[]> arrived_; // one for each thread
    std::vector<std::thread> workers_;
};

} // namespace tenon::cpu
