// What this machine can do at most, measured now: memory reads, int8, bf16 and f32 arithmetic, one cache line's way
// from core to core. Prints one JSON object.
// usage: ceilings [THREADS]        built by cpu.sh with `g++ -O3 -std=c++20 -pthread`
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace {

constexpr std::size_t kReadBytes = std::size_t{256} << 20;  // per thread: far beyond any cache
constexpr int kRepeats = 5;                                 // the median is printed
constexpr int kChains = 12;                 // independent accumulators; hides every latency known
constexpr std::int64_t kSteps = 8'000'000;  // per thread and repeat: some tens of milliseconds

volatile std::uint64_t g_sink;

double seconds_now() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::vector<int> allowed_cpus() {
    cpu_set_t set;
    std::vector<int> cpus;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
        }
    }
    if (cpus.empty()) cpus.push_back(0);
    return cpus;
}

void pin(int cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

// Seconds from the first start to the last end of `work(thread)`, every thread on a CPU of its own.
double together(int threads, const std::vector<int>& cpus, const std::function<void(int)>& work) {
    std::vector<double> begin(threads), end(threads);
    std::atomic<int> ready{0};
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t) {
        pool.emplace_back([&, t] {
            pin(cpus[t % cpus.size()]);
            ready.fetch_add(1);
            while (ready.load() < threads)
                std::this_thread::yield();
            begin[t] = seconds_now();
            work(t);
            end[t] = seconds_now();
        });
    }
    for (std::thread& thread : pool)
        thread.join();
    return *std::max_element(end.begin(), end.end()) -
           *std::min_element(begin.begin(), begin.end());
}

double median_seconds(int threads, const std::vector<int>& cpus,
                      const std::function<void(int)>& work) {
    std::vector<double> all;
    for (int repeat = 0; repeat < kRepeats; ++repeat)
        all.push_back(together(threads, cpus, work));
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

std::uint64_t read_plain(const std::byte* data, std::size_t bytes) {
    std::uint64_t sums[8] = {};
    for (std::size_t at = 0; at < bytes; at += 64) {
        for (int lane = 0; lane < 8; ++lane) {
            std::uint64_t word;
            std::memcpy(&word, data + at + 8 * lane, sizeof word);
            sums[lane] += word;
        }
    }
    std::uint64_t sum = 0;
    for (std::uint64_t part : sums)
        sum += part;
    return sum;
}

#if defined(__x86_64__)
struct Cpu {
    bool avx2, avx512, vnni, bf16;
};

Cpu probe_cpu() {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    Cpu cpu{};
    __builtin_cpu_init();
    cpu.avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    cpu.avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    cpu.vnni = cpu.avx512 && __builtin_cpu_supports("avx512vnni");
    if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
        cpu.bf16 = cpu.avx512 && (eax >> 5 & 1) != 0;
    return cpu;
}

__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::byte* data, std::size_t bytes) {
    __m256i sums[8];
    for (__m256i& sum : sums)
        sum = _mm256_setzero_si256();
    for (std::size_t at = 0; at < bytes; at += 256) {
        for (int lane = 0; lane < 8; ++lane) {
            const auto* line = reinterpret_cast<const __m256i*>(data + at + 32 * lane);
            sums[lane] = _mm256_add_epi64(sums[lane], _mm256_load_si256(line));
        }
    }
    for (int lane = 1; lane < 8; ++lane)
        sums[0] = _mm256_add_epi64(sums[0], sums[lane]);
    return static_cast<std::uint64_t>(_mm256_extract_epi64(sums[0], 0));
}

// Keeps a register alive and unknown to the optimiser, without a memory access.
#define KEEP(value) __asm__ volatile("" : "+x"(value))
#define KEEP512(value) __asm__ volatile("" : "+v"(value))

// Each returns the operations done (one multiply-add is two).
__attribute__((target("avx2,fma"))) double f32_avx2(std::int64_t steps) {
    __m256 sums[kChains], a = _mm256_set1_ps(1e-9F), b = _mm256_set1_ps(0.5F);
    for (__m256& sum : sums)
        sum = _mm256_setzero_ps();
    for (std::int64_t step = 0; step < steps; ++step) {
        for (__m256& sum : sums)
            sum = _mm256_fmadd_ps(a, b, sum);
        KEEP(a);
    }
    for (__m256& sum : sums)
        KEEP(sum);
    return 2.0 * 8 * kChains * static_cast<double>(steps);
}

__attribute__((target("avx2"))) double int8_avx2(std::int64_t steps) {
    __m256i sums[kChains], a = _mm256_set1_epi8(1), b = _mm256_set1_epi8(2);
    const __m256i ones = _mm256_set1_epi16(1);
    for (__m256i& sum : sums)
        sum = _mm256_setzero_si256();
    for (std::int64_t step = 0; step < steps; ++step) {
        for (__m256i& sum : sums) {
            __m256i products = _mm256_maddubs_epi16(a, b);
            KEEP(products);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(products, ones));
        }
    }
    for (__m256i& sum : sums)
        KEEP(sum);
    return 2.0 * 32 * kChains * static_cast<double>(steps);
}

__attribute__((target("avx512f"))) double f32_avx512(std::int64_t steps) {
    __m512 sums[kChains], a = _mm512_set1_ps(1e-9F), b = _mm512_set1_ps(0.5F);
    for (__m512& sum : sums)
        sum = _mm512_setzero_ps();
    for (std::int64_t step = 0; step < steps; ++step) {
        for (__m512& sum : sums)
            sum = _mm512_fmadd_ps(a, b, sum);
        KEEP512(a);
    }
    for (__m512& sum : sums)
        KEEP512(sum);
    return 2.0 * 16 * kChains * static_cast<double>(steps);
}

__attribute__((target("avx512f,avx512vnni"))) double int8_avx512(std::int64_t steps) {
    __m512i sums[kChains], a = _mm512_set1_epi8(1), b = _mm512_set1_epi8(2);
    for (__m512i& sum : sums)
        sum = _mm512_setzero_si512();
    for (std::int64_t step = 0; step < steps; ++step) {
        for (__m512i& sum : sums)
            sum = _mm512_dpbusd_epi32(sum, a, b);
        KEEP512(a);
    }
    for (__m512i& sum : sums)
        KEEP512(sum);
    return 2.0 * 64 * kChains * static_cast<double>(steps);
}

__attribute__((target("avx512f,avx512bf16"))) double bf16_avx512(std::int64_t steps) {
    __m512 sums[kChains];
    __m512i a = _mm512_set1_epi16(0x3080), b = _mm512_set1_epi16(0x3F00);  // 2^-30 and 0.5
    for (__m512& sum : sums)
        sum = _mm512_setzero_ps();
    for (std::int64_t step = 0; step < steps; ++step) {
        for (__m512& sum : sums)
            sum = _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
        KEEP512(a);
    }
    for (__m512& sum : sums)
        KEEP512(sum);
    return 2.0 * 32 * kChains * static_cast<double>(steps);
}
#endif

// Nanoseconds for one cache line to go from one core to another and be seen.
double line_transfer_ns(const std::vector<int>& cpus) {
    if (cpus.size() < 2) return 0;
    constexpr long kTurns = 100'000;
    alignas(128) static std::atomic<long> turn;
    turn = 0;
    const double elapsed = median_seconds(2, cpus, [](int side) {
        const long base = turn.load() / (2 * kTurns) * (2 * kTurns);
        for (long k = 0; k < kTurns; ++k) {
            while (turn.load(std::memory_order_acquire) != base + 2 * k + side) {
            }
            turn.store(base + 2 * k + side + 1, std::memory_order_release);
        }
    });
    return elapsed / kTurns / 2 * 1e9;
}

struct Probe {
    std::string instruction = "none";
    double giga = 0;
};

Probe arithmetic(int threads, const std::vector<int>& cpus, const char* instruction,
                 double (*kernel)(std::int64_t)) {
    std::vector<double> done(static_cast<std::size_t>(threads));
    const double elapsed = median_seconds(threads, cpus, [&](int t) { done[t] = kernel(kSteps); });
    double sum = 0;
    for (double each : done)
        sum += each;
    return {instruction, sum / elapsed / 1e9};
}

}  // namespace

int main(int argc, char** argv) {
    const std::vector<int> cpus = allowed_cpus();
    const int threads = argc > 1 ? std::atoi(argv[1]) : static_cast<int>(cpus.size());
    if (threads < 1 || threads > 1024) {
        std::fprintf(stderr, "ceilings: '%s' is not a number of threads from 1 to 1024\n", argv[1]);
        return 2;
    }
    const std::size_t bytes = kReadBytes * static_cast<std::size_t>(threads);
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        std::fprintf(stderr, "ceilings: cannot map %zu bytes\n", bytes);
        return 1;
    }
    madvise(memory, bytes, MADV_HUGEPAGE);
    std::memset(memory, 1, bytes);
    const auto* data = static_cast<const std::byte*>(memory);

    std::uint64_t (*read)(const std::byte*, std::size_t) = read_plain;
    Probe f32, int8, bf16;
#if defined(__x86_64__)
    const Cpu cpu = probe_cpu();
    if (cpu.avx2) read = read_avx2;
    if (cpu.avx512) {
        f32 = arithmetic(threads, cpus, "vfmadd zmm", f32_avx512);
    } else if (cpu.avx2) {
        f32 = arithmetic(threads, cpus, "vfmadd ymm", f32_avx2);
    }
    if (cpu.vnni) {
        int8 = arithmetic(threads, cpus, "vpdpbusd zmm", int8_avx512);
    } else if (cpu.avx2) {
        int8 = arithmetic(threads, cpus, "vpmaddubsw ymm", int8_avx2);
    }
    if (cpu.bf16) bf16 = arithmetic(threads, cpus, "vdpbf16ps zmm", bf16_avx512);
#endif
    const double elapsed = median_seconds(threads, cpus, [&](int t) {
        g_sink = read(data + kReadBytes * static_cast<std::size_t>(t), kReadBytes);
    });
    const double line = line_transfer_ns(cpus);
    std::printf("{\"threads\": %d, \"read_gb_s\": %.1f, \"line_transfer_ns\": %.0f", threads,
                static_cast<double>(bytes) / elapsed / 1e9, line);
    std::printf(", \"int8_gop_s\": %.0f, \"int8_with\": \"%s\"", int8.giga,
                int8.instruction.c_str());
    std::printf(", \"bf16_gflop_s\": %.0f, \"bf16_with\": \"%s\"", bf16.giga,
                bf16.instruction.c_str());
    std::printf(", \"f32_gflop_s\": %.0f, \"f32_with\": \"%s\"}\n", f32.giga,
                f32.instruction.c_str());
    return 0;
}
