#include "tests/conformance/malloc_count.h"

#include <atomic>
#include <cerrno>
#include <cstddef>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define CONFORMANCE_COUNTS 0
#else
#define CONFORMANCE_COUNTS 1
#endif

namespace {
std::atomic<uint64_t> g_allocations{0};
}  // namespace

namespace tenon::conformance {
bool counts_allocations() noexcept {
    return CONFORMANCE_COUNTS != 0;
}
uint64_t allocations() noexcept {
    return g_allocations.load();
}
}  // namespace tenon::conformance

#if CONFORMANCE_COUNTS
// glibc exports its own allocator under these names.
extern "C" {
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t align, size_t bytes);

__attribute__((visibility("default"))) void* malloc(size_t bytes) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_malloc(bytes);
}
__attribute__((visibility("default"))) void* calloc(size_t count, size_t bytes) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_calloc(count, bytes);
}
__attribute__((visibility("default"))) void* realloc(void* memory, size_t bytes) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_realloc(memory, bytes);
}
__attribute__((visibility("default"))) void* memalign(size_t align, size_t bytes) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_memalign(align, bytes);
}
__attribute__((visibility("default"))) void* aligned_alloc(size_t align, size_t bytes) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    return __libc_memalign(align, bytes);
}
__attribute__((visibility("default"))) int posix_memalign(void** memory, size_t align,
                                                          size_t bytes) {
    g_allocations.fetch_add(1, std::memory_order_relaxed);
    *memory = __libc_memalign(align, bytes);
    return *memory == nullptr ? ENOMEM : 0;
}
}
#endif
