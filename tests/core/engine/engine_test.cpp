// The engine with its thread: what other threads may ask of it, and that its end is an end.
#include "core/engine/engine.h"

#include "tests/core/engine/tiny.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <random>
#include <thread>
#include <utility>

namespace tenon::engine {
namespace {

class Waiter : public OutputSink {
public:
    // `at_first` runs on the engine's thread when the first delta comes, before the step after next.
    explicit Waiter(std::function<void()> at_first = {}) : at_first_(std::move(at_first)) {}

    void on_delta(OutputDelta&& delta) override {
        if (at_first_) std::exchange(at_first_, {})();
        const std::lock_guard lock(mutex_);
        tokens_ += delta.tokens.size();
        if (!delta.finish) return;
        ++finishes_;
        finish_ = std::move(delta.finish);
        ended_.notify_all();
    }
    bool on_engine_lost() override { return false; }

    Finish wait() {
        std::unique_lock lock(mutex_);
        const bool came =
            ended_.wait_for(lock, std::chrono::seconds(30), [&] { return finish_.has_value(); });
        EXPECT_TRUE(came) << "no finish within 30 s";
        EXPECT_EQ(finishes_, 1);
        return came ? *finish_ : Finish{};
    }
    size_t tokens() {
        const std::lock_guard lock(mutex_);
        return tokens_;
    }

private:
    std::function<void()> at_first_;
    std::mutex mutex_;
    std::condition_variable ended_;
    std::optional<Finish> finish_;
    size_t tokens_ = 0;
    int finishes_ = 0;
};

EngineStart tiny_start() {
    EngineStart start;
    start.model = tiny::path("llama3-tied-q4_1.gguf");
    start.config = tiny::config();
    start.config.max_running_requests = 8;
    start.config.threads = 1;
    return start;
}

GenerationRequest ask(GenerationId id, uint32_t prompt, uint32_t max_tokens) {
    GenerationRequest request;
    request.id = id;
    request.prompt = tiny::ids(prompt, static_cast<uint32_t>(id));
    request.max_tokens = max_tokens;
    request.ignore_eos = true;
    return request;
}

class EngineTest : public testing::Test {
protected:
    void SetUp() override { SKIP_WITHOUT("cpu"); }
};

TEST_F(EngineTest, ServesManyThreadsAndGivesEveryBlockBack) {
    std::atomic<uint64_t> progress{0};
    std::atomic<int> step_ends{0};
    EngineStart start = tiny_start();
    start.progress = &progress;
    start.on_step_end = [&] { ++step_ends; };
    Result<std::unique_ptr<EngineClient>> engine = start_engine(std::move(start));
    ASSERT_OK(engine);
    EngineClient& client = **engine;
    ASSERT_NE(client.info(), nullptr);
    EXPECT_EQ(client.info()->vocab_size, tiny::kVocabulary);
    EXPECT_GT(client.info()->kv_blocks, 0u);
    EXPECT_TRUE(client.stats().is_ready);

    std::vector<std::thread> threads;
    std::atomic<uint32_t> whole{0}, cancelled{0};
    for (uint32_t t = 0; t < 4; ++t) {
        threads.emplace_back([&, t] {
            std::mt19937 random(t);
            for (uint32_t i = 0; i < 25; ++i) {
                const GenerationId id = t * 1000 + i + 1;
                const auto waiter = std::make_shared<Waiter>();
                client.submit(ask(id, 1 + random() % 60, 1 + random() % 20), waiter);
                if (random() % 4 == 0) client.cancel(id);
                if (random() % 4 == 0) {
                    client.pause(id, true);
                    client.pause(id, false);
                }
                ++(waiter->wait().reason == FinishReason::kCancelled ? cancelled : whole);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_EQ(whole + cancelled, 100u);
    EXPECT_GT(whole, 0u);
    EXPECT_TRUE(client.drain(10'000));
    client.flush_cache();
    EngineStats stats;
    for (int i = 0; i < 200; ++i) {  // the next snapshot
        stats = client.stats();
        if (stats.blocks_free == client.info()->kv_blocks) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_EQ(stats.blocks_free, client.info()->kv_blocks);
    EXPECT_EQ(stats.running + stats.waiting, 0u);
    EXPECT_EQ(stats.finished, whole);
    EXPECT_EQ(stats.cancelled, cancelled);
    EXPECT_GT(progress.load(), stats.steps);  // it moves inside steps, too
    EXPECT_GT(step_ends.load(), 0);

    const auto late = std::make_shared<Waiter>();
    client.submit(ask(9999, 5, 5), late);
    const Finish refused = late->wait();
    ASSERT_TRUE(refused.error.has_value());
    EXPECT_EQ(refused.error->code, Code::kBusy);
}

TEST_F(EngineTest, AnIdleEngineKeepsItsClocks) {
    EngineStart start = tiny_start();
    start.config.max_running_requests = 1;
    Result<std::unique_ptr<EngineClient>> engine = start_engine(std::move(start));
    ASSERT_OK(engine);
    const auto paused = std::make_shared<Waiter>([&] { (*engine)->pause(1, true); });
    const auto waits = std::make_shared<Waiter>();
    GenerationRequest first = ask(1, 10, 200);
    first.deadline_ms = 300;
    (*engine)->submit(first, paused);
    const Finish finish = paused->wait();
    ASSERT_TRUE(finish.error.has_value());
    EXPECT_EQ(finish.error->code, Code::kTimeout);
    (*engine)->submit(ask(2, 10, 4), waits);
    EXPECT_EQ(waits->wait().reason, FinishReason::kLength);
}

TEST_F(EngineTest, ADrainThatIsTooShortEndsWhatRuns) {
    Result<std::unique_ptr<EngineClient>> engine = start_engine(tiny_start());
    ASSERT_OK(engine);
    const auto waiter = std::make_shared<Waiter>([&] { (*engine)->pause(1, true); });
    (*engine)->submit(ask(1, 10, 200), waiter);
    EXPECT_FALSE((*engine)->drain(20));
    EXPECT_EQ(waiter->wait().reason, FinishReason::kCancelled);
}

TEST_F(EngineTest, DestroyingItEndsEveryRequest) {
    std::vector<std::shared_ptr<Waiter>> waiters;
    {
        Result<std::unique_ptr<EngineClient>> engine = start_engine(tiny_start());
        ASSERT_OK(engine);
        for (GenerationId id = 1; id <= 20; ++id) {
            waiters.push_back(std::make_shared<Waiter>());
            (*engine)->submit(ask(id, 30, 200), waiters.back());
        }
    }
    for (const auto& waiter : waiters)
        EXPECT_NE(waiter->wait().reason, FinishReason::kError);
}

TEST_F(EngineTest, WhatCannotStartSaysWhy) {
    EngineStart start = tiny_start();
    start.config.policy = "fcsf";
    Result<std::unique_ptr<EngineClient>> engine = start_engine(std::move(start));
    ASSERT_FALSE(engine.ok());
    EXPECT_EQ(engine.error().code, Code::kConfig);
    EXPECT_NE(engine.error().message.find("did you mean 'fcfs'?"), std::string::npos)
        << engine.error().message;
    start = tiny_start();
    start.config.context_length = 100'000;
    engine = start_engine(std::move(start));
    ASSERT_FALSE(engine.ok());
    EXPECT_NE(engine.error().message.find("was trained for"), std::string::npos);
}

}  // namespace
}  // namespace tenon::engine
