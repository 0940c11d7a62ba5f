#include "backends/cpu/thread_pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>

namespace tenon::cpu {
namespace {

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// Wrap-around safe: epochs differ by less than 2^31.
bool reached(uint32_t value, uint32_t target) noexcept {
    return static_cast<int32_t>(value - target) >= 0;
}

void pin_to(std::thread& thread, uint32_t place) noexcept {
    cpu_set_t mask;
    if (sched_getaffinity(0, sizeof mask, &mask) != 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &mask) || place-- != 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        pthread_setaffinity_np(thread.native_handle(), sizeof one, &one);
        return;
    }
}

} // namespace

void Epoch::raise(uint32_t to) noexcept {
    value.store(to, std::memory_order_seq_cst);
    if (sleepers.load(std::memory_order_seq_cst) == 0) return;
    syscall(SYS_futex, &value, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void Epoch::wait(uint32_t to, uint32_t spin_us) noexcept {
    constexpr uint32_t kLooksPerClock = 64; // reading the clock costs about as much as 20 looks
    if (reached(value.load(std::memory_order_acquire), to)) return;
    const auto limit = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_us);
    do {
        for (uint32_t look = 0; look < kLooksPerClock; ++look) {
            if (reached(value.load(std::memory_order_acquire), to)) return;
            relax();
        }
    } while (std::chrono::steady_clock::now() < limit);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    for (;;) {
        const uint32_t seen = value.load(std::memory_order_seq_cst);
        if (reached(seen, to)) break;
        syscall(SYS_futex, &value, FUTEX_WAIT_PRIVATE, seen, nullptr, nullptr, 0);
    }
    sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

ThreadPool::ThreadPool(uint32_t threads, uint32_t spin_us, bool pin)
    : threads_(threads), spin_us_(spin_us), arrived_(std::make_unique<Epoch[]>(threads)) {
    workers_.reserve(threads - 1);
    for (uint32_t thread = 1; thread < threads; ++thread) {
        workers_.emplace_back([this, thread] { work(thread); });
        if (pin) pin_to(workers_.back(), thread);
    }
}

ThreadPool::~ThreadPool() {
    stop_ = true;
    start_.raise(start_.value.load(std::memory_order_relaxed) + 1);
    for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::work(uint32_t thread) noexcept {
    for (uint32_t turn = 1;; ++turn) {
        start_.wait(turn, spin_us_);
        if (stop_) return;
        task_(context_, thread);
        barrier(thread);
    }
}

void ThreadPool::run(Task task, void* context) noexcept {
    task_ = task;
    context_ = context;
    if (threads_ > 1) start_.raise(start_.value.load(std::memory_order_relaxed) + 1);
    task(context, 0);
    barrier(0);
}

void ThreadPool::barrier(uint32_t thread) noexcept {
    if (threads_ == 1) return;
    const uint32_t epoch = arrived_[thread].value.load(std::memory_order_relaxed) + 1;
    arrived_[thread].raise(epoch);
    for (uint32_t other = 0; other < threads_; ++other)
        if (other != thread) arrived_[other].wait(epoch, spin_us_);
}

} // namespace tenon::cpu
