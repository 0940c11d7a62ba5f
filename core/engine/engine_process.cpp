#include "core/engine/engine_process.h"

#include "core/engine/child_process.h"
#include "core/engine/progress_page.h"
#include "core/engine/protocol.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

namespace tenon::engine {

namespace {

using protocol::Failed;

constexpr int kExitDone = 0, kExitFailed = 1;
constexpr int kBusyTickMs = 20, kIdleTickMs = 100;  // also the heartbeat
constexpr uint64_t kBusyStatsMs = 100, kIdleStatsMs = 1'000;
constexpr int kLastWordsMs = 1'000;             // the front may take so long to read Failed
constexpr size_t kUnsentBytesMax = 256u << 20;  // of a front that does not read

uint64_t now_ms() {
    return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(
                                     std::chrono::steady_clock::now().time_since_epoch())
                                     .count());
}

void cut(std::string& text, size_t bytes) {
    if (text.size() > bytes) text.resize(bytes);
}

// One engine and its socket. The I/O loop runs on the thread of run(), sinks on the engine's.
class Session {
public:
    Session(EngineProcess process, Descriptor socket, ProgressPage page, Descriptor wake,
            Descriptor term)
        : process_(std::move(process)),
          page_(std::move(page)),
          socket_(std::move(socket)),
          wake_(std::move(wake)),
          term_(std::move(term)) {}

    int run();

    // Sinks, on the engine's thread.
    void on_delta(OutputDelta&& delta);
    void on_lost(Error error);

private:
    void load(std::string model, config::EngineConfig config);
    void obey(protocol::Message&& message);
    bool read_socket();
    void fail(Failed::Stage stage, Error error);
    void send_stats();
    void flush_deltas();
    void flush_deltas_locked();
    void append_locked(const protocol::Message& message);
    void say(const protocol::Message& message);
    void write_locked();
    void ring() noexcept {
        const uint64_t one = 1;
        static_cast<void>(!write(wake_.get(), &one, sizeof(one)));
    }

    EngineProcess process_;
    ProgressPage page_;
    Descriptor socket_, wake_, term_;
    protocol::Decoder decoder_{protocol::Sender::kFront};

    // Touched by the I/O thread alone.
    std::vector<char> chunk_ = std::vector<char>(256u << 10);
    std::thread loader_;
    EngineClient* engine_ = nullptr;  // once Ready was said
    std::unique_ptr<EngineClient> owned_;
    bool is_loading_ = false, is_draining_ = false, is_shut_ = false;
    uint64_t stats_ms_ = 0;
    bool was_busy_ = false;

    std::atomic<uint32_t> unfinished_{0};

    std::mutex mutex_;                 // below
    std::vector<OutputDelta> deltas_;  // of the step that runs
    uint64_t deltas_bytes_ = 0;
    std::string unsent_;
    bool is_lost_ = false;  // nothing of the engine passes any more
    std::optional<Failed> failure_;
    std::unique_ptr<EngineClient> loaded_;
};

class RemoteSink final : public OutputSink {
public:
    explicit RemoteSink(Session& session) : session_(session) {}
    void on_delta(OutputDelta&& delta) override { session_.on_delta(std::move(delta)); }
    bool on_engine_lost() override {
        session_.on_lost({Code::kDeviceLost, "the device is lost"});
        return false;
    }

private:
    Session& session_;
};

void Session::on_delta(OutputDelta&& delta) {
    // The front replays what a lost device ended: such a finish must not reach it.
    if (delta.finish && delta.finish->error && delta.finish->error->code == Code::kDeviceLost) {
        on_lost(*delta.finish->error);
        return;
    }
    const bool ends = delta.finish.has_value();
    {
        const std::lock_guard lock(mutex_);
        if (is_lost_) return;
        if (ends && delta.finish->error)
            cut(delta.finish->error->message, protocol::kErrorBytesMax);
        deltas_bytes_ += protocol::encoded_size(delta);
        deltas_.push_back(std::move(delta));
        if (deltas_bytes_ > protocol::kDeltasBytesSoft) flush_deltas_locked();
    }
    if (ends) unfinished_.fetch_sub(1, std::memory_order_relaxed);
}

void Session::on_lost(Error error) {
    {
        const std::lock_guard lock(mutex_);
        is_lost_ = true;
        if (failure_) return;
        cut(error.message, protocol::kErrorBytesMax);
        failure_ = Failed{Failed::Stage::kServing, std::move(error)};
    }
    ring();
}

// On the loader's thread.
void Session::load(std::string model, config::EngineConfig config) {
    EngineStart start;
    start.model = std::move(model);
    start.config = std::move(config);
    start.on_load = [this](uint64_t done, uint64_t total) {
        page_.words().progress.fetch_add(1, std::memory_order_relaxed);
        say(protocol::Loading{done, total});
    };
    start.on_step_end = [this] {
        page_.words().steps.fetch_add(1, std::memory_order_relaxed);
        flush_deltas();
    };
    start.on_failed = [this](const Error& error) { on_lost(error); };
    start.progress = &page_.words().progress;
    start.is_busy = &page_.words().is_busy;
    Result<std::unique_ptr<EngineClient>> engine = process_.start(std::move(start));
    {
        const std::lock_guard lock(mutex_);
        if (engine.ok()) {
            loaded_ = std::move(engine).value();
        } else if (!failure_) {
            Error error = std::move(engine).error();
            cut(error.message, protocol::kErrorBytesMax);
            failure_ = Failed{Failed::Stage::kLoading, std::move(error)};
        }
    }
    ring();
}

// Says why and ends the process.
void Session::fail(Failed::Stage stage, Error error) {
    const std::lock_guard lock(mutex_);
    is_lost_ = true;
    append_locked(Failed{stage, std::move(error)});
    const uint64_t start = now_ms();
    while (!unsent_.empty() && now_ms() - start < kLastWordsMs) {
        pollfd writable{socket_.get(), POLLOUT, 0};
        poll(&writable, 1, kBusyTickMs);
        write_locked();
    }
    process_.exit_now(kExitFailed);
}

void Session::append_locked(const protocol::Message& message) {
    if (const Status status = protocol::encode(message, unsent_); !status.ok()) {
        // A sink's output that no message can carry: its request could never be answered.
        const Failed failed{Failed::Stage::kServing, {Code::kInternal, status.error().message}};
        static_cast<void>(protocol::encode(failed, unsent_).ok());
        is_lost_ = true;
    }
}

void Session::flush_deltas_locked() {
    if (deltas_.empty()) return;
    protocol::Deltas message{std::move(deltas_)};
    append_locked(message);
    deltas_ = std::move(message.deltas);  // keeps its memory
    deltas_.clear();
    deltas_bytes_ = 0;
}

void Session::flush_deltas() {
    const std::lock_guard lock(mutex_);
    if (is_lost_ || deltas_.empty()) return;
    flush_deltas_locked();
    write_locked();
    if (!unsent_.empty()) ring();
}

void Session::say(const protocol::Message& message) {
    const std::lock_guard lock(mutex_);
    append_locked(message);
    write_locked();
    if (!unsent_.empty()) ring();
}

// Never blocks: what the socket does not take waits for the I/O loop.
void Session::write_locked() {
    size_t sent = 0;
    while (sent < unsent_.size()) {
        const ssize_t count = ::send(socket_.get(), unsent_.data() + sent, unsent_.size() - sent,
                                     MSG_DONTWAIT | MSG_NOSIGNAL);
        if (count > 0) {
            sent += static_cast<size_t>(count);
        } else if (count < 0 && errno == EINTR) {
            continue;
        } else if (count < 0 && errno == EAGAIN) {
            break;
        } else {
            process_.exit_now(kExitDone);  // the front is gone
        }
    }
    unsent_.erase(0, sent);
    if (unsent_.size() > kUnsentBytesMax) process_.exit_now(kExitFailed);
}

void Session::send_stats() {
    EngineStats stats = engine_->stats();
    cut(stats.not_ready, protocol::kNameBytesMax);
    cut(stats.effective_policy, protocol::kNameBytesMax);
    say(protocol::Stats{std::move(stats)});
}

void Session::obey(protocol::Message&& message) {
    const auto violation = [&](const char* sentence) {
        fail(engine_ != nullptr ? Failed::Stage::kServing : Failed::Stage::kLoading,
             {Code::kInternal, sentence});
    };
    if (auto* hello = std::get_if<protocol::Hello>(&message)) {
        if (is_loading_ || engine_ != nullptr) return violation("the front said Hello twice");
        is_loading_ = true;
        loader_ = std::thread(
            [this, model = std::move(hello->model), config = std::move(hello->config)]() mutable {
                load(std::move(model), std::move(config));
            });
        return;
    }
    if (std::get_if<protocol::Shutdown>(&message) != nullptr) {
        is_shut_ = true;
        return;
    }
    if (engine_ == nullptr) return violation("the front sent a request before Ready");
    if (auto* submit = std::get_if<protocol::Submit>(&message)) {
        if (is_draining_) return violation("the front sent a request after Drain");
        unfinished_.fetch_add(1, std::memory_order_relaxed);
        engine_->submit(std::move(submit->request), std::make_shared<RemoteSink>(*this));
    } else if (const auto* cancel = std::get_if<protocol::Cancel>(&message)) {
        engine_->cancel(cancel->id);
    } else if (const auto* pause = std::get_if<protocol::Pause>(&message)) {
        engine_->pause(pause->id, pause->paused);
    } else if (std::get_if<protocol::FlushCache>(&message) != nullptr) {
        engine_->flush_cache();
    } else if (std::get_if<protocol::Drain>(&message) != nullptr) {
        is_draining_ = true;
    }
}

// False: the front is gone.
bool Session::read_socket() {
    const ssize_t count = recv(socket_.get(), chunk_.data(), chunk_.size(), MSG_DONTWAIT);
    if (count == 0) return false;
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    std::vector<protocol::Message> messages;
    const Status status =
        decoder_.feed(std::string_view(chunk_.data(), static_cast<size_t>(count)), messages);
    for (protocol::Message& message : messages)
        obey(std::move(message));
    if (!status.ok())
        fail(engine_ != nullptr ? Failed::Stage::kServing : Failed::Stage::kLoading,
             {Code::kConfig, "the front's message: " + status.error().message});
    return true;
}

int Session::run() {
    while (true) {
        const bool is_busy = is_loading_ || unfinished_.load(std::memory_order_relaxed) > 0;
        bool wants_write = false;
        {
            const std::lock_guard lock(mutex_);
            wants_write = !unsent_.empty();
        }
        const short events = static_cast<short>(POLLIN | (wants_write ? POLLOUT : 0));
        pollfd ready[] = {
            {socket_.get(), events, 0}, {wake_.get(), POLLIN, 0}, {term_.get(), POLLIN, 0}};
        poll(ready, std::size(ready), is_busy ? kBusyTickMs : kIdleTickMs);
        page_.words().heartbeat.fetch_add(1, std::memory_order_relaxed);
        if (ready[1].revents != 0) {
            uint64_t count = 0;
            static_cast<void>(!read(wake_.get(), &count, sizeof(count)));
        }
        if (ready[2].revents != 0) {
            signalfd_siginfo info{};
            static_cast<void>(!read(term_.get(), &info, sizeof(info)));
            if (engine_ == nullptr) process_.exit_now(kExitDone);
            if (!is_draining_) say(protocol::Leaving{});
        }
        if (ready[0].revents != 0 && !read_socket()) process_.exit_now(kExitDone);
        if (is_shut_) {
            if (is_loading_) process_.exit_now(kExitDone);
            owned_.reset();
            return kExitDone;
        }

        std::optional<Failed> failure;
        std::unique_ptr<EngineClient> loaded;
        {
            const std::lock_guard lock(mutex_);
            failure = std::exchange(failure_, std::nullopt);
            loaded = std::move(loaded_);
            if (!is_lost_) flush_deltas_locked();  // what came outside of a step
            write_locked();
        }
        if (failure) fail(failure->stage, std::move(failure->error));
        if (loaded != nullptr) {
            loader_.join();
            owned_ = std::move(loaded);
            is_loading_ = false;
            protocol::Ready message;
            if (const auto info = owned_->info()) message.info = *info;
            for (std::string* name :
                 {&message.info.model_name, &message.info.architecture, &message.info.device,
                  &message.info.backend, &message.info.policy})
                cut(*name, protocol::kNameBytesMax);
            engine_ = owned_.get();
            send_stats();  // so that a front that is told "ready" has figures
            say(message);
            stats_ms_ = now_ms();
        }
        if (engine_ == nullptr) continue;
        const bool works = unfinished_.load(std::memory_order_relaxed) > 0;
        const uint64_t now = now_ms();
        if (now - stats_ms_ >= (works || was_busy_ ? kBusyStatsMs : kIdleStatsMs)) {
            send_stats();
            stats_ms_ = now;
            was_busy_ = works;
        }
        if (works) was_busy_ = true;
        if (is_draining_ && !works) {
            {
                const std::lock_guard lock(mutex_);
                if (!unsent_.empty() || !deltas_.empty()) continue;
            }
            owned_.reset();
            return kExitDone;
        }
    }
}

}  // namespace

int serve_engine(EngineProcess process) {
    Descriptor socket(process.socket);
    if (process.parent != 0 &&
        (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != process.parent))
        return kExitFailed;
    prctl(PR_SET_NAME, "tenon-engine");  // else what ps shows is the name of a link
    for (const int signal : {SIGINT, SIGHUP, SIGPIPE})
        std::signal(signal, SIG_IGN);
    sigset_t term, rest;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigemptyset(&rest);
    for (const int signal : {SIGINT, SIGHUP})
        sigaddset(&rest, signal);
    pthread_sigmask(SIG_BLOCK, &term, nullptr);
    pthread_sigmask(SIG_UNBLOCK, &rest, nullptr);
    Descriptor term_fd(signalfd(-1, &term, SFD_CLOEXEC | SFD_NONBLOCK));
    Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    // A plugin's child must not hold the front's connection open.
    if (term_fd.get() < 0 || wake.get() < 0 || fcntl(socket.get(), F_SETFD, FD_CLOEXEC) != 0)
        return kExitFailed;
    Result<ProgressPage> page = ProgressPage::open(process.page);
    if (!page.ok()) return kExitFailed;
    Session session(std::move(process), std::move(socket), std::move(page).value(), std::move(wake),
                    std::move(term_fd));
    return session.run();
}

}  // namespace tenon::engine
