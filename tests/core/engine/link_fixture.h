// A link to a scripted engine process, and what a request got of it.
#pragma once

#include "core/engine/engine_link.h"
#include "tests/core/engine/scripted.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace tenon::engine {

using scripted::Act;
using std::chrono::milliseconds;

// What one request got. It is judged from outside: the link knows nothing of it.
class Outcome final : public OutputSink {
public:
    explicit Outcome(bool is_streaming) : is_streaming_(is_streaming) {}
    void on_delta(OutputDelta&& delta) override {
        const std::lock_guard lock(mutex_);
        if (finishes_ > 0) ++late_;
        text_ += delta.text;
        if (!delta.finish) return;
        ++finishes_;
        finish_ = std::move(*delta.finish);
        changed_.notify_all();
    }
    bool on_engine_lost() override {
        const std::lock_guard lock(mutex_);
        ++losses_;
        if (is_streaming_ && !text_.empty()) return false;
        text_.clear();
        return true;
    }
    // False after 20 s.
    bool wait() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, milliseconds(20'000), [this] { return finishes_ > 0; });
    }
    Finish finish() {
        const std::lock_guard lock(mutex_);
        return finish_;
    }
    std::string text() {
        const std::lock_guard lock(mutex_);
        return text_;
    }
    int finishes() {
        const std::lock_guard lock(mutex_);
        return finishes_;
    }
    int late() {
        const std::lock_guard lock(mutex_);
        return late_;
    }
    int losses() {
        const std::lock_guard lock(mutex_);
        return losses_;
    }
    bool ended_with(Code code) {
        if (!wait()) return false;
        const Finish last = finish();
        return last.reason == FinishReason::kError && last.error && last.error->code == code;
    }

private:
    const bool is_streaming_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::string text_;
    Finish finish_;
    int finishes_ = 0, late_ = 0, losses_ = 0;
};

class Link : public ::testing::Test {
protected:
    Link() {
        options_.model = "load_ms=8,step_us=500";
        options_.program = TENON_BINARY_DIR "/bin/fake_engine";
        options_.arguments = {};
        options_.on_log = [this](std::string_view line) {
            const std::lock_guard lock(mutex_);
            log_ += std::string(line) + "\n";
        };
        options_.on_ready = [this](const EngineInfo& info) {
            const std::lock_guard lock(mutex_);
            child_ = static_cast<pid_t>(info.kv_blocks);
            ++starts_;
            started_.notify_all();
        };
        options_.on_failed = [this](const Error& error) {
            const std::lock_guard lock(mutex_);
            failures_.push_back(error);
            started_.notify_all();
        };
    }
    void TearDown() override {
        link_.reset();
        EXPECT_EQ(log_.find("Sanitizer"), std::string::npos) << log_;
        EXPECT_EQ(log_.find("runtime error"), std::string::npos) << log_;
    }
    void start() {
        Result<std::unique_ptr<EngineClient>> link = start_engine_process(options_);
        ASSERT_TRUE(link.ok()) << link.error().message;
        link_ = std::move(link).value();
    }
    // The child's pid once Ready came `count` times; 0 after 20 s.
    pid_t ready(int count = 1) {
        std::unique_lock lock(mutex_);
        return started_.wait_for(lock, milliseconds(20'000), [&] { return starts_ >= count; })
                   ? child_
                   : 0;
    }
    GenerationRequest request(Act act, uint32_t tokens = 8, int32_t argument = 0) {
        GenerationRequest request;
        request.id = ++last_id_;
        request.prompt = {act, argument, static_cast<int32_t>(request.id)};
        request.max_tokens = tokens;
        request.sampling.seed = request.id;
        return request;
    }
    std::shared_ptr<Outcome> submit(const GenerationRequest& request, bool is_streaming = false) {
        auto outcome = std::make_shared<Outcome>(is_streaming);
        link_->submit(request, outcome);
        return outcome;
    }
    std::shared_ptr<Outcome> submit(Act act, uint32_t tokens = 8, int32_t argument = 0) {
        return submit(request(act, tokens, argument));
    }
    std::string log() {
        const std::lock_guard lock(mutex_);
        return log_;
    }
    // Waits up to 10 s for `condition`.
    template <class Condition>
    static bool eventually(Condition&& condition) {
        for (int turn = 0; turn < 2'000; ++turn) {
            if (condition()) return true;
            std::this_thread::sleep_for(milliseconds(5));
        }
        return condition();
    }

    EngineProcessOptions options_;
    std::mutex mutex_;
    std::condition_variable started_;
    std::string log_;
    pid_t child_ = 0;
    int starts_ = 0;
    std::vector<Error> failures_;
    std::atomic<GenerationId> last_id_{0};
    std::unique_ptr<EngineClient> link_;  // first to go: its callbacks use the others
};

}  // namespace tenon::engine
