#include "tests/conformance/malloc_count.h"

#include <dlfcn.h>
#include <link.h>
#include <unwind.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define CONFORMANCE_COUNTS 0
#else
#define CONFORMANCE_COUNTS 1
#endif

namespace {

struct Range {
    uintptr_t begin = 0, end = 0;
    bool holds(uintptr_t address) const { return address >= begin && address < end; }
};

std::atomic<uint64_t> g_allocations{0};
std::atomic<uint64_t> g_watched{0};
std::atomic<bool> g_watching{false};
// Written before g_watching is set.
Range g_plugin;
Range g_runtime[4];  // this program, the C library, the C++ library and its unwinder
thread_local bool t_watched = false;
thread_local bool t_unwinding = false;

// Where the module that holds `code` lies; empty when no module does.
Range range_of(const void* code) {
    struct Search {
        uintptr_t address;
        Range found;
    } search{reinterpret_cast<uintptr_t>(code), {}};
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* data) {
            auto& wanted = *static_cast<Search*>(data);
            Range range{UINTPTR_MAX, 0};
            for (int i = 0; i < info->dlpi_phnum; ++i) {
                const auto& segment = info->dlpi_phdr[i];
                if (segment.p_type != PT_LOAD) continue;
                const uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
                if (begin < range.begin) range.begin = begin;
                if (begin + segment.p_memsz > range.end) range.end = begin + segment.p_memsz;
            }
            if (!range.holds(wanted.address)) return 0;
            wanted.found = range;
            return 1;
        },
        &search);
    return search.found;
}

// Whether the code nearest to this allocation, the C and C++ libraries left out, is the plugin's.
bool asked_by_plugin() {
    struct Walk {
        bool plugin = false;
    } walk;
    t_unwinding = true;
    _Unwind_Backtrace(
        [](_Unwind_Context* context, void* data) {
            const uintptr_t address = _Unwind_GetIP(context);
            if (g_plugin.holds(address)) {
                static_cast<Walk*>(data)->plugin = true;
                return _URC_END_OF_STACK;
            }
            for (const Range& range : g_runtime) {
                if (range.holds(address)) return _URC_NO_REASON;
            }
            return _URC_END_OF_STACK;
        },
        &walk);
    t_unwinding = false;
    return walk.plugin;
}

[[maybe_unused]] void count_one() {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    if (!g_watching.load(std::memory_order_acquire) || t_unwinding) return;
    if (t_watched || asked_by_plugin()) g_watched.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

namespace tenon::conformance {
bool counts_allocations() noexcept { return CONFORMANCE_COUNTS != 0; }
uint64_t allocations() noexcept { return g_allocations.load(); }

AllocationWatch::AllocationWatch(const void* code) noexcept {
    g_plugin = range_of(code);
    g_runtime[0] = range_of(reinterpret_cast<const void*>(&range_of));
    const char* const names[] = {"free", "_ZSt13get_terminatev", "_Unwind_Backtrace"};
    for (int i = 0; i < 3; ++i)
        g_runtime[i + 1] = range_of(dlsym(RTLD_DEFAULT, names[i]));
    asked_by_plugin();  // the unwinder's own start
    g_watched = 0;
    t_watched = true;
    g_watching = true;
}

AllocationWatch::~AllocationWatch() {
    g_watching = false;
    t_watched = false;
}

uint64_t AllocationWatch::count() const noexcept { return g_watched.load(); }
}  // namespace tenon::conformance

#if CONFORMANCE_COUNTS
// glibc exports its own allocator under these names.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t align, size_t bytes);

__attribute__((visibility("default"))) void* malloc(size_t bytes) {
    count_one();
    return __libc_malloc(bytes);
}
__attribute__((visibility("default"))) void* calloc(size_t count, size_t bytes) {
    count_one();
    return __libc_calloc(count, bytes);
}
__attribute__((visibility("default"))) void* realloc(void* memory, size_t bytes) {
    count_one();
    return __libc_realloc(memory, bytes);
}
__attribute__((visibility("default"))) void* memalign(size_t align, size_t bytes) {
    count_one();
    return __libc_memalign(align, bytes);
}
__attribute__((visibility("default"))) void* aligned_alloc(size_t align, size_t bytes) {
    count_one();
    return __libc_memalign(align, bytes);
}
__attribute__((visibility("default"))) int posix_memalign(void** memory, size_t align,
                                                          size_t bytes) {
    count_one();
    *memory = __libc_memalign(align, bytes);
    return *memory == nullptr ? ENOMEM : 0;
}
}
#endif
