#include "core/base/log.h"

#include "core/base/json_writer.h"

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace tenon {

namespace {

using Steady = std::chrono::steady_clock;

// 2026-01-02T03:04:05.678Z
std::string format_time(uint64_t ms) {
    const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[64];
    const size_t n = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
    char fraction[8];
    std::snprintf(fraction, sizeof fraction, ".%03uZ", static_cast<unsigned>(ms % 1000));
    return std::string(text, n) + fraction;
}

// Cuts `text` to `bytes` at a character's border.
std::string_view cut(std::string_view text, size_t bytes) {
    if (text.size() <= bytes) return text;
    while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80)
        --bytes;
    return text.substr(0, bytes);
}

bool is_plain(std::string_view text) {
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte <= 0x20 || byte >= 0x7f || c == '"' || c == '\\' || c == '=') return false;
    }
    return !text.empty();
}

std::string quoted(std::string_view text) {
    JsonWriter json;
    json.value(text);
    return json.text();
}

// Without line breaks and control characters, so that a message stays one line.
std::string one_line(std::string_view text) {
    std::string line(text);
    for (char& c : line) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    return line;
}

}  // namespace

const char* name_of(LogLevel level) noexcept {
    switch (level) {
        case LogLevel::kError: return "error";
        case LogLevel::kWarn: return "warn";
        case LogLevel::kInfo: return "info";
        case LogLevel::kDebug: return "debug";
    }
    return "unknown";
}

struct Log::Impl {
    explicit Impl(LogOptions given) : options(std::move(given)) {}

    ~Impl() {
        {
            const std::lock_guard lock(mutex);
            stopping = true;
        }
        changed.notify_all();
        if (writer.joinable()) writer.join();
        if (fd > STDERR_FILENO) close(fd);
    }

    Result<int> open_sink() const {
        if (options.file.empty()) return STDERR_FILENO;
        const int opened =
            ::open(options.file.c_str(),
                   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);
        if (opened < 0) {
            return Error{Code::kConfig, "log.file " + options.file + ": " + std::strerror(errno)};
        }
        return opened;
    }

    std::string render(LogLevel level, std::string_view message, const LogField* fields,
                       size_t count) const {
        const uint64_t now =
            options.now_ms
                ? options.now_ms()
                : static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                            std::chrono::system_clock::now().time_since_epoch())
                                            .count());
        // Each text gets at most half of the line, and the line is cut in the end.
        const size_t text_bytes = options.line_bytes / 2;
        std::string line;
        if (options.json) {
            JsonWriter json;
            json.begin_object().field("ts", format_time(now)).field("level", name_of(level));
            json.field("msg", cut(message, text_bytes));
            for (size_t i = 0; i < count; ++i) {
                json.key(fields[i].name);
                std::visit(
                    [&](const auto& value) {
                        if constexpr (std::is_same_v<std::decay_t<decltype(value)>,
                                                     std::string_view>) {
                            json.value(cut(value, text_bytes));
                        } else {
                            json.value(value);
                        }
                    },
                    fields[i].value);
                if (json.text().size() > options.line_bytes) break;
            }
            json.end_object();
            line = json.text();
            if (line.size() >= options.line_bytes) {
                JsonWriter brief;
                brief.begin_object().field("ts", format_time(now)).field("level", name_of(level));
                brief.field("msg", cut(message, 200)).field("cut_bytes", line.size()).end_object();
                line = brief.text();
            }
        } else {
            line =
                format_time(now) + " " + name_of(level) + " " + one_line(cut(message, text_bytes));
            for (size_t i = 0; i < count; ++i) {
                line += std::string(" ") + fields[i].name + "=";
                if (const auto* text = std::get_if<std::string_view>(&fields[i].value)) {
                    const std::string_view short_text = cut(*text, text_bytes);
                    line += is_plain(short_text) ? std::string(short_text) : quoted(short_text);
                } else if (const auto* number = std::get_if<int64_t>(&fields[i].value)) {
                    line += std::to_string(*number);
                } else if (const auto* real = std::get_if<double>(&fields[i].value)) {
                    char buffer[32];
                    std::snprintf(buffer, sizeof buffer, "%.3f", *real);
                    line += buffer;
                } else {
                    line += std::get<bool>(fields[i].value) ? "true" : "false";
                }
            }
            line = cut(line, options.line_bytes - 1);
        }
        return line + "\n";
    }

    void push(LogLevel level, std::string_view message, const LogField* fields, size_t count) {
        std::string line;
        {
            const std::lock_guard lock(mutex);
            const Steady::time_point now = Steady::now();
            if (now - second >= std::chrono::seconds(1)) {
                second = now;
                lines = 0;
            }
            if (++lines > options.lines_per_second) {
                ++drops;
                return;
            }
        }
        line = render(level, message, fields, count);
        {
            const std::lock_guard lock(mutex);
            if (queued + line.size() > options.queue_bytes) {
                ++drops;
                return;
            }
            queued += line.size();
            queue.push_back(std::move(line));
        }
        changed.notify_one();
    }

    // Writes all of `line`, or gives up: the sink is closed or takes nothing while we must stop.
    bool write_out(std::string_view line) {
        while (!line.empty()) {
            const int sink = fd.load();
            pollfd ready{sink, POLLOUT, 0};
            const int events = poll(&ready, 1, 100);
            if (events > 0 && (ready.revents & (POLLERR | POLLNVAL)) != 0) return false;
            if (events == 0) {
                const std::lock_guard lock(mutex);
                if (stopping) return false;
                continue;
            }
            // At most PIPE_BUF, which a pipe that polled writable takes without blocking (pipe(7)).
            const ssize_t n = ::write(sink, line.data(), std::min<size_t>(line.size(), 4096));
            if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
            if (n <= 0) return false;
            line.remove_prefix(static_cast<size_t>(n));
        }
        return true;
    }

    void run() {
        std::unique_lock lock(mutex);
        while (true) {
            changed.wait(lock, [&] { return stopping || !queue.empty(); });
            if (queue.empty()) return;
            const std::string line = std::move(queue.front());
            queue.pop_front();
            is_writing = true;
            lock.unlock();
            const bool written = write_out(line);
            lock.lock();
            is_writing = false;
            queued -= line.size();
            if (!written) {
                ++drops;
                if (stopping) {
                    drops += queue.size();
                    queue.clear();
                    queued = 0;
                }
            }
            if (queue.empty()) idle.notify_all();
        }
    }

    LogOptions options;
    std::atomic<int> fd{-1};
    mutable std::mutex mutex;
    std::condition_variable changed, idle;
    std::deque<std::string> queue;
    size_t queued = 0;  // bytes of queue and of the line being written
    bool stopping = false, is_writing = false;
    uint64_t drops = 0;
    uint32_t lines = 0;  // since `second`
    Steady::time_point second{};
    std::thread writer;
};

Log::Log(std::unique_ptr<Impl> impl, LogLevel level) : impl_(std::move(impl)), level_(level) {}

Log::~Log() = default;

Result<std::unique_ptr<Log>> Log::open(LogOptions options) {
    const LogLevel level = options.level;
    auto impl = std::make_unique<Impl>(std::move(options));
    TENON_TRY(const int fd, impl->open_sink());
    impl->fd = fd;
    impl->writer = std::thread([raw = impl.get()] { raw->run(); });
    return std::unique_ptr<Log>(new Log(std::move(impl), level));
}

void Log::write(LogLevel level, std::string_view message, std::initializer_list<LogField> fields) {
    if (wants(level)) impl_->push(level, message, fields.begin(), fields.size());
}

void Log::write(LogLevel level, std::string_view message, const std::vector<LogField>& fields) {
    if (wants(level)) impl_->push(level, message, fields.data(), fields.size());
}

Status Log::reopen() {
    if (impl_->options.file.empty()) return {};
    TENON_TRY(const int opened, impl_->open_sink());
    // The descriptor keeps its number, so a write that is under way never meets a closed one.
    const bool swapped = dup3(opened, impl_->fd.load(), O_CLOEXEC) >= 0;
    close(opened);
    if (!swapped) return Error{Code::kConfig, std::string("log.file: ") + std::strerror(errno)};
    return {};
}

uint64_t Log::dropped() const noexcept {
    const std::lock_guard lock(impl_->mutex);
    return impl_->drops;
}

void Log::flush(uint32_t ms) {
    std::unique_lock lock(impl_->mutex);
    impl_->idle.wait_for(lock, std::chrono::milliseconds(ms),
                         [&] { return impl_->queue.empty() && !impl_->is_writing; });
}

}  // namespace tenon
