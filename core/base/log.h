// The log: one line an event, as text or JSON, written by a thread of its own so that a full pipe or
// disk stops nobody.
#pragma once

#include "core/base/result.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenon {

enum class LogLevel : uint8_t { kError, kWarn, kInfo, kDebug };

const char* name_of(LogLevel level) noexcept;  // "error", "warn", "info", "debug"

// One fact of a line. Names are literals; texts are escaped, so none can forge a line.
struct LogField {
    const char* name;
    std::variant<std::string_view, int64_t, double, bool> value;

    LogField(const char* n, std::string_view v) : name(n), value(v) {}
    LogField(const char* n, const std::string& v) : name(n), value(std::string_view(v)) {}
    LogField(const char* n, const char* v) : name(n), value(std::string_view(v)) {}
    LogField(const char* n, bool v) : name(n), value(v) {}
    LogField(const char* n, double v) : name(n), value(v) {}
    LogField(const char* n, int v) : name(n), value(int64_t{v}) {}
    LogField(const char* n, uint32_t v) : name(n), value(int64_t{v}) {}
    LogField(const char* n, int64_t v) : name(n), value(v) {}
    LogField(const char* n, uint64_t v) : name(n), value(static_cast<int64_t>(v)) {}
};

struct LogOptions {
    std::string file;  // appended to; empty: standard error
    bool json = false;
    LogLevel level = LogLevel::kInfo;
    uint32_t line_bytes = 8 << 10;          // longer texts are cut, and say so
    uint32_t lines_per_second = 1'000;      // above it lines are counted and dropped
    uint32_t queue_bytes = 4 << 20;         // unwritten; above it lines are counted and dropped
    std::function<uint64_t()> now_ms = {};  // milliseconds since 1970; empty: the system's
};

// Thread-safe. write() never blocks on the sink.
class Log {
public:
    // kConfig when the file cannot be opened.
    static Result<std::unique_ptr<Log>> open(LogOptions options);
    ~Log();  // writes what is queued, for at most a second

    bool wants(LogLevel level) const noexcept {
        return level <= level_.load(std::memory_order_relaxed);
    }
    void write(LogLevel level, std::string_view message,
               std::initializer_list<LogField> fields = {});
    void write(LogLevel level, std::string_view message, const std::vector<LogField>& fields);

    void set_level(LogLevel level) noexcept { level_.store(level, std::memory_order_relaxed); }
    // Opens the file again, after it was moved away. On error the old one stays in use.
    Status reopen();
    // Lines that were dropped: too many, or the sink does not take them.
    uint64_t dropped() const noexcept;
    // Waits until what is queued was written or dropped, at most `ms`.
    void flush(uint32_t ms);

private:
    struct Impl;
    explicit Log(std::unique_ptr<Impl> impl, LogLevel level);

    std::unique_ptr<Impl> impl_;
    std::atomic<LogLevel> level_;
};

}  // namespace tenon
