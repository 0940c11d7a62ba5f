#include "core/host/host_table.h"

#include <atomic>
#include <cstdlib>
#include <new>

namespace tenon::host {
namespace {

std::atomic<LogFn> g_log{nullptr};
std::atomic<void*> g_log_ctx{nullptr};
std::atomic<NotifyFn> g_notify{nullptr};
std::atomic<void*> g_notify_ctx{nullptr};
std::atomic<uint64_t> g_bytes{0};

void log(void*, int32_t level, tenon_str text) noexcept {
    const LogFn sink = g_log.load(std::memory_order_acquire);
    if (sink == nullptr) return;
    const bool known = level >= TENON_LOG_ERROR && level <= TENON_LOG_DEBUG;
    sink(g_log_ctx.load(std::memory_order_relaxed),
         known ? static_cast<tenon_log_level>(level) : TENON_LOG_DEBUG, text);
}

void* alloc(void*, size_t bytes, size_t align) noexcept {
    if (align == 0 || (align & (align - 1)) != 0) return nullptr;
    void* p = ::operator new (bytes, std::align_val_t{align}, std::nothrow);
    if (p != nullptr) g_bytes.fetch_add(bytes, std::memory_order_relaxed);
    return p;
}

void release(void*, void* p, size_t bytes, size_t align) noexcept {
    if (p == nullptr) return;
    g_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    ::operator delete (p, std::align_val_t{align});
}

void notify(void*, uint64_t cookie, int32_t status) noexcept {
    const NotifyFn sink = g_notify.load(std::memory_order_acquire);
    if (sink != nullptr) sink(g_notify_ctx.load(std::memory_order_relaxed), cookie, status);
}

constexpr tenon_host kHost = {
    sizeof(tenon_host), TENON_ABI_REVISION, nullptr, log, alloc, release, notify};

}  // namespace

const tenon_host* host_table() noexcept { return &kHost; }

void set_log(LogFn log_fn, void* ctx) noexcept {
    g_log_ctx.store(ctx, std::memory_order_relaxed);
    g_log.store(log_fn, std::memory_order_release);
}

void set_notify(NotifyFn notify_fn, void* ctx) noexcept {
    g_notify_ctx.store(ctx, std::memory_order_relaxed);
    g_notify.store(notify_fn, std::memory_order_release);
}

uint64_t plugin_bytes_live() noexcept { return g_bytes.load(std::memory_order_relaxed); }

}  // namespace tenon::host
