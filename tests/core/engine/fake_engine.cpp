// An engine process that follows a script: fake_engine [options of the link]. The "model" is a list
// key=value,...: load_ms, step_us, fail (a code: the load fails with it), needs (a file without
// which it aborts while loading), mute (1: never says Ready).
#include "core/engine/engine_process.h"
#include "tests/core/engine/scripted.h"

#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

namespace tenon::engine {
namespace {

using Script = std::map<std::string, std::string>;

Script parse(const std::string& text) {
    Script script;
    for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(',', at), text.size());
        const std::string item = text.substr(at, end - at);
        const size_t equals = item.find('=');
        if (equals != std::string::npos) script[item.substr(0, equals)] = item.substr(equals + 1);
        at = end + 1;
    }
    return script;
}

long number(const Script& script, const char* key) {
    const auto at = script.find(key);
    return at == script.end() ? 0 : std::atol(at->second.c_str());
}

void sleep_ms(long ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class ScriptedEngine final : public EngineClient {
public:
    ScriptedEngine(EngineStart start, const Script& script)
        : start_(std::move(start)), step_us_(number(script, "step_us")) {
        thread_ = std::thread([this] { run(); });
    }
    ~ScriptedEngine() override {
        {
            const std::lock_guard lock(mutex_);
            is_stopping_ = true;
        }
        changed_.notify_one();
        thread_.join();
    }
    void submit(GenerationRequest request, std::shared_ptr<OutputSink> sink) override {
        const std::lock_guard lock(mutex_);
        jobs_.push_back({std::move(request), std::move(sink)});
        changed_.notify_one();
    }
    void cancel(GenerationId id) override {
        const std::lock_guard lock(mutex_);
        for (Job& job : jobs_)
            job.is_cancelled |= job.request.id == id;
        changed_.notify_one();
    }
    void pause(GenerationId id, bool paused) override {
        const std::lock_guard lock(mutex_);
        for (Job& job : jobs_) {
            if (job.request.id == id) job.is_paused = paused;
        }
        changed_.notify_one();
    }
    void flush_cache() override {}
    std::shared_ptr<const EngineInfo> info() const override {
        auto info = std::make_shared<EngineInfo>();
        info->model_name = "scripted";
        info->kv_blocks = static_cast<uint32_t>(getpid());
        return info;
    }
    EngineStats stats() const override {
        const std::lock_guard lock(mutex_);
        EngineStats stats;
        stats.is_ready = true;
        stats.running = static_cast<uint32_t>(jobs_.size());
        stats.output_tokens = tokens_;
        return stats;
    }
    bool drain(uint32_t) override { return true; }

private:
    struct Job {
        GenerationRequest request;
        std::shared_ptr<OutputSink> sink;
        bool is_paused = false, is_cancelled = false;
        uint32_t drawn = 0;
    };

    void act(const GenerationRequest& request, uint32_t index) {
        const int32_t what = request.prompt.at(0);
        const int32_t argument = request.prompt.size() > 1 ? request.prompt[1] : 0;
        if (what == scripted::kAbortAt && index == static_cast<uint32_t>(argument)) std::abort();
        if (index > 0) return;
        switch (what) {
            case scripted::kAbort: std::abort();
            case scripted::kFault: raise(SIGSEGV); break;
            case scripted::kHang:
                for (;;)
                    sleep_ms(1000);
            case scripted::kSlow:
                for (int32_t ms = 0; ms < argument; ms += 50) {
                    start_.progress->fetch_add(1);
                    sleep_ms(50);
                }
                break;
            case scripted::kGarbage: {
                const std::string bytes(64, '\xee');
                static_cast<void>(send(3, bytes.data(), bytes.size(), MSG_NOSIGNAL));
                break;
            }
            case scripted::kExit: _exit(3);
            case scripted::kLoseDevice: is_lost_ = true; break;
            case scripted::kSpeak: {
                const char line[] = "a line of the engine\nand half a li";
                static_cast<void>(!write(STDERR_FILENO, line, sizeof(line) - 1));
                break;
            }
            case scripted::kKillItself: raise(SIGKILL); break;
            case scripted::kHangUp:
                shutdown(3, SHUT_RDWR);
                for (;;)
                    sleep_ms(1000);
            default: break;
        }
    }

    void run() {
        while (true) {
            std::vector<std::pair<std::shared_ptr<OutputSink>, OutputDelta>> outputs;
            {
                std::unique_lock lock(mutex_);
                const auto works = [this] {
                    for (const Job& job : jobs_) {
                        if (job.is_cancelled || !job.is_paused) return true;
                    }
                    return is_stopping_;
                };
                start_.is_busy->store(0);
                changed_.wait(lock, works);
                if (is_stopping_) return;
                start_.is_busy->store(1);
            }
            if (step_us_ > 0) std::this_thread::sleep_for(std::chrono::microseconds(step_us_));
            std::unique_lock lock(mutex_);
            for (auto job = jobs_.begin(); job != jobs_.end();) {
                OutputDelta delta;
                delta.id = job->request.id;
                if (job->is_cancelled) {
                    delta.finish.emplace().reason = FinishReason::kCancelled;
                } else if (job->is_paused) {
                    ++job;
                    continue;
                } else {
                    const GenerationRequest request = job->request;
                    lock.unlock();
                    act(request, job->drawn);
                    lock.lock();
                    delta.is_scheduled = job->drawn == 0;
                    delta.text = scripted::token_text(request, job->drawn);
                    delta.tokens.resize(1);
                    ++tokens_;
                    if (++job->drawn == request.max_tokens) {
                        delta.finish.emplace().reason = FinishReason::kLength;
                        delta.finish->output_tokens = job->drawn;
                    }
                }
                const bool ends = delta.finish.has_value();
                outputs.emplace_back(job->sink, std::move(delta));
                job = ends ? jobs_.erase(job) : std::next(job);
            }
            lock.unlock();
            if (is_lost_) {
                const Error error{Code::kDeviceLost, "the scripted device is lost"};
                for (Job& job : jobs_) {
                    OutputDelta delta;
                    delta.id = job.request.id;
                    delta.finish.emplace().reason = FinishReason::kError;
                    delta.finish->error = error;
                    job.sink->on_delta(std::move(delta));
                }
                start_.on_failed(error);
                return;
            }
            for (auto& [sink, delta] : outputs)
                sink->on_delta(std::move(delta));
            start_.progress->fetch_add(1);
            start_.on_step_end();
        }
    }

    EngineStart start_;
    const long step_us_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Job> jobs_;
    uint64_t tokens_ = 0;
    bool is_stopping_ = false, is_lost_ = false;
    std::thread thread_;
};

Result<std::unique_ptr<EngineClient>> start(EngineStart start) {
    const Script script = parse(start.model);
    for (int part = 0; part < 4; ++part) {
        if (start.on_load) start.on_load(static_cast<uint64_t>(part) + 1, 4);
        sleep_ms(number(script, "load_ms") / 4);
    }
    const auto needs = script.find("needs");
    if (needs != script.end() && access(needs->second.c_str(), F_OK) != 0) std::abort();
    if (number(script, "mute") != 0) sleep_ms(3'600'000);
    if (const long code = number(script, "fail"); code != 0)
        return Error{static_cast<Code>(code), "the script says so"};
    return std::unique_ptr<EngineClient>(new ScriptedEngine(std::move(start), script));
}

}  // namespace
}  // namespace tenon::engine

// A sanitizer must neither turn a signal into an exit code nor hold up an exit.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
extern "C" __attribute__((visibility("default"), used)) const char* __tsan_default_options() {
    return "atexit_sleep_ms=0:handle_segv=0:handle_abort=0";
}
extern "C" __attribute__((visibility("default"), used)) const char* __asan_default_options() {
    return "handle_segv=0:handle_abort=0";
}
#endif

int main(int argc, char** argv) {
    tenon::engine::EngineProcess process;
    for (int at = 1; at + 1 < argc; ++at) {
        if (std::strcmp(argv[at], "--socket") == 0) process.socket = std::atoi(argv[at + 1]);
        if (std::strcmp(argv[at], "--page") == 0) process.page = std::atoi(argv[at + 1]);
        if (std::strcmp(argv[at], "--parent") == 0) process.parent = std::atoi(argv[at + 1]);
    }
    process.start = tenon::engine::start;
    process.exit_now = [](int code) { _exit(code); };
    return tenon::engine::serve_engine(std::move(process));
}
