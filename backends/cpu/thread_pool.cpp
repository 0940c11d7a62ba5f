#include "backends/cpu/thread_pool.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <climits>

namespace tenon::cpu {
namespace {

constexpr uint32_t kLooksPerClock = 64;  // reading the clock costs about as much as 20 looks

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

// id << 32 | claimed << 16 | units. The id never repeats within 2^32 phases, so a claim by
// compare-and-swap cannot take a unit of another phase than the one that was looked at.
uint64_t make_ticket(uint32_t id, uint32_t units) noexcept {
    return (static_cast<uint64_t>(id) << 32) | units;
}
uint32_t id_of(uint64_t ticket) noexcept { return static_cast<uint32_t>(ticket >> 32); }
uint32_t claimed_of(uint64_t ticket) noexcept { return (ticket >> 16) & kUnitsMax; }
uint32_t units_of(uint64_t ticket) noexcept { return ticket & kUnitsMax; }

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

}  // namespace

ThreadPool::ThreadPool(uint32_t threads, uint32_t spin_us, bool pin)
    : threads_(threads), spin_us_(spin_us) {
    workers_.reserve(threads - 1);
    for (uint32_t thread = 1; thread < threads; ++thread) {
        workers_.emplace_back([this, thread] { work(thread); });
        if (pin) pin_to(workers_.back(), thread);
    }
}

ThreadPool::~ThreadPool() {
    stop_.store(true, std::memory_order_relaxed);
    publish(make_ticket(id_of(shared_.ticket.load(std::memory_order_relaxed)) + 1, 0));
    for (std::thread& worker : workers_)
        worker.join();
}

void ThreadPool::publish(uint64_t ticket) noexcept {
    shared_.ticket.store(ticket, std::memory_order_seq_cst);
    if (shared_.sleepers.load(std::memory_order_seq_cst) == 0) return;
    shared_.wake.fetch_add(1, std::memory_order_seq_cst);
    syscall(SYS_futex, &shared_.wake, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void ThreadPool::wait_change(uint64_t seen) noexcept {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::microseconds(spin_us_);
    do {
        for (uint32_t look = 0; look < kLooksPerClock; ++look) {
            if (shared_.ticket.load(std::memory_order_acquire) != seen) return;
            relax();
        }
    } while (std::chrono::steady_clock::now() < limit);
    shared_.sleepers.fetch_add(1, std::memory_order_seq_cst);
    for (;;) {
        const uint32_t wake = shared_.wake.load(std::memory_order_seq_cst);
        if (shared_.ticket.load(std::memory_order_seq_cst) != seen) break;
        syscall(SYS_futex, &shared_.wake, FUTEX_WAIT_PRIVATE, wake, nullptr, nullptr, 0);
    }
    shared_.sleepers.fetch_sub(1, std::memory_order_seq_cst);
}

void ThreadPool::open(uint32_t phase) noexcept {
    for (; phase < phases_; ++phase) {
        const uint32_t units = job_->units(phase);
        if (units == 0) {
            if (!job_->finished(phase)) break;
            continue;
        }
        shared_.done.store(0, std::memory_order_relaxed);
        publish(make_ticket(first_id_ + phase, units));
        return;
    }
    publish(make_ticket(first_id_ + phases_, 0));
}

bool ThreadPool::help(uint32_t thread) noexcept {
    uint64_t ticket = shared_.ticket.load(std::memory_order_acquire);
    do {
        if (claimed_of(ticket) == units_of(ticket)) return false;
    } while (!shared_.ticket.compare_exchange_weak(ticket, ticket + (uint64_t{1} << 16),
                                                   std::memory_order_acq_rel,
                                                   std::memory_order_acquire));
    // Holding a unit keeps the phase, and so the job, alive.
    const uint32_t phase = id_of(ticket) - first_id_;
    job_->run(phase, claimed_of(ticket), thread);
    if (shared_.done.fetch_add(1, std::memory_order_acq_rel) + 1 == units_of(ticket))
        open(job_->finished(phase) ? phase + 1 : phases_);
    return true;
}

void ThreadPool::work(uint32_t thread) noexcept {
    for (;;) {
        if (help(thread)) continue;
        if (stop_.load(std::memory_order_relaxed)) return;
        const uint64_t ticket = shared_.ticket.load(std::memory_order_acquire);
        if (claimed_of(ticket) == units_of(ticket) && !stop_.load(std::memory_order_relaxed))
            wait_change(ticket);
    }
}

void ThreadPool::run(Job& job, uint32_t phases) noexcept {
    job_ = &job;
    phases_ = phases;
    first_id_ = id_of(shared_.ticket.load(std::memory_order_relaxed)) + 1;
    const uint32_t end = first_id_ + phases;
    open(0);
    for (;;) {
        if (help(0)) continue;
        const uint64_t ticket = shared_.ticket.load(std::memory_order_acquire);
        if (id_of(ticket) == end) return;
        if (claimed_of(ticket) == units_of(ticket)) wait_change(ticket);
    }
}

}  // namespace tenon::cpu
