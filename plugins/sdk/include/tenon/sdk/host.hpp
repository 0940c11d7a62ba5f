// The host as a plugin sees it: log, counted memory, notifications.
#pragma once

#include <cstdarg>
#include <cstdio>

#include <tenon/sdk/structs.hpp>

namespace tenon::sdk {

inline const tenon_host* g_host = nullptr;  // set by activate, valid until the process ends

// The host's table. Valid from activate on; null before.
inline const tenon_host* host() noexcept { return g_host; }

// One line to the host's log, printf style, cut to 1 KiB. Silent before activate.
__attribute__((format(printf, 2, 3))) inline void log(tenon_log_level level, const char* format,
                                                      ...) noexcept {
    if (g_host == nullptr) return;
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    const int length = std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    const size_t cut =
        static_cast<size_t>(length) < sizeof text ? static_cast<size_t>(length) : sizeof text - 1;
    g_host->log(g_host->ctx, level, {text, cut});
}

// Owns memory of the host's counted allocator. Move-only. null data() with bytes() 0 when memory is
// out. The host must be active.
class HostMemory {
public:
    HostMemory() = default;
    HostMemory(size_t bytes, size_t align) noexcept : bytes_(bytes), align_(align) {
        data_ = g_host == nullptr ? nullptr : g_host->alloc(g_host->ctx, bytes, align);
        if (data_ == nullptr) bytes_ = 0;
    }
    HostMemory(HostMemory&& other) noexcept
        : data_(other.data_), bytes_(other.bytes_), align_(other.align_) {
        other.data_ = nullptr;
        other.bytes_ = 0;
    }
    HostMemory& operator=(HostMemory&& other) noexcept {
        if (this != &other) {
            free();
            data_ = other.data_;
            bytes_ = other.bytes_;
            align_ = other.align_;
            other.data_ = nullptr;
            other.bytes_ = 0;
        }
        return *this;
    }
    HostMemory(const HostMemory&) = delete;
    HostMemory& operator=(const HostMemory&) = delete;
    ~HostMemory() { free(); }

    void* data() const noexcept { return data_; }
    size_t bytes() const noexcept { return bytes_; }

private:
    void free() noexcept {
        if (data_ != nullptr) g_host->release(g_host->ctx, data_, bytes_, align_);
        data_ = nullptr;
    }

    void* data_ = nullptr;
    size_t bytes_ = 0;
    size_t align_ = 1;
};

}  // namespace tenon::sdk
