#include "core/engine/engine_link.h"

#include "tests/core/engine/scripted.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <fstream>
#include <map>
#include <mutex>
#include <random>
#include <thread>

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::engine {
namespace {

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

TEST_F(Link, AnswersAsTheEngineDoes) {
    start();
    EXPECT_EQ(link_->info(), nullptr);
    EXPECT_FALSE(link_->stats().is_ready);
    EXPECT_EQ(link_->stats().not_ready, "loading");
    const GenerationRequest asked = request(scripted::kAnswer);
    const auto outcome = submit(asked);  // waits for Ready
    ASSERT_TRUE(outcome->wait());
    EXPECT_EQ(outcome->text(), scripted::answer(asked));
    EXPECT_EQ(outcome->finish().reason, FinishReason::kLength);
    EXPECT_EQ(outcome->finish().output_tokens, 8u);
    ASSERT_NE(link_->info(), nullptr);
    EXPECT_EQ(link_->info()->model_name, "scripted");
    EXPECT_TRUE(link_->stats().is_ready);
    EXPECT_TRUE(eventually([&] { return link_->stats().output_tokens == 8; }));
    EXPECT_GT(link_->stats().progress, 0u);
    EXPECT_EQ(link_->stats().restarts, 0u);
}

TEST_F(Link, CancelsBeforeAndAfterTheEngineHasIt) {
    options_.model = "load_ms=200,step_us=500";
    start();
    const GenerationRequest early = request(scripted::kAnswer, 1'000'000);
    const auto before = submit(early);
    link_->cancel(early.id);
    ASSERT_TRUE(before->wait());
    EXPECT_EQ(before->finish().reason, FinishReason::kCancelled);
    ASSERT_NE(ready(), 0);
    const GenerationRequest late = request(scripted::kAnswer, 1'000'000);
    const auto after = submit(late);
    ASSERT_TRUE(eventually([&] { return !after->text().empty(); }));
    link_->cancel(late.id);
    link_->cancel(late.id);
    link_->cancel(987'654);
    ASSERT_TRUE(after->wait());
    EXPECT_EQ(after->finish().reason, FinishReason::kCancelled);
}

TEST_F(Link, PausesAndGoesOn) {
    start();
    const GenerationRequest asked = request(scripted::kAnswer, 400);
    const auto outcome = submit(asked);
    ASSERT_TRUE(eventually([&] { return !outcome->text().empty(); }));
    link_->pause(asked.id, true);
    std::this_thread::sleep_for(milliseconds(50));
    const std::string held = outcome->text();
    std::this_thread::sleep_for(milliseconds(50));
    EXPECT_EQ(outcome->text(), held);
    EXPECT_EQ(outcome->finishes(), 0);
    link_->pause(asked.id, false);
    ASSERT_TRUE(outcome->wait());
    EXPECT_EQ(outcome->text(), scripted::answer(asked));
}

TEST_F(Link, AnIdInFlightAndARequestThatIsTooLongEndInAnError) {
    start();
    GenerationRequest asked = request(scripted::kAnswer, 1'000'000);
    const auto first = submit(asked);
    EXPECT_TRUE(submit(asked)->ended_with(Code::kInvalid));
    EXPECT_EQ(first->finishes(), 0);
    link_->cancel(asked.id);
    GenerationRequest large = request(scripted::kAnswer);
    large.stop.assign(1'000, "x");
    EXPECT_TRUE(submit(large)->ended_with(Code::kInvalid));
    EXPECT_TRUE(first->wait());
}

// Every way in which an engine may end, with a neighbour that streams and one that does not.
struct End {
    Act act;
    const char* why;
};
class LinkEnds : public Link, public ::testing::WithParamInterface<End> {};

TEST_P(LinkEnds, NeighboursAreReplayedOrEndedAndTheCulpritIsNamed) {
    options_.stall_unready_ms = 200;
    options_.stall_abort_ms = 500;
    start();
    ASSERT_NE(ready(), 0);
    const GenerationRequest streamed = request(scripted::kAnswer, 1'000'000);
    const auto streaming = submit(streamed, true);
    const GenerationRequest asked = request(scripted::kAnswer, 300);
    const auto neighbour = submit(asked);
    ASSERT_TRUE(eventually(
        [&] { return streaming->text().size() > 50 && neighbour->text().size() > 50; }));
    const auto culprit = submit(GetParam().act);
    EXPECT_TRUE(streaming->ended_with(Code::kDeviceLost));
    EXPECT_NE(streaming->finish().error->message.find(GetParam().why), std::string::npos)
        << streaming->finish().error->message;
    EXPECT_TRUE(culprit->ended_with(Code::kInternal));
    EXPECT_EQ(culprit->finish().error->message.rfind("poison_request", 0), 0u);
    ASSERT_TRUE(neighbour->wait());
    EXPECT_EQ(neighbour->text(), scripted::answer(asked));
    EXPECT_GE(neighbour->losses(), 1);
    const auto next = submit(scripted::kAnswer);
    ASSERT_TRUE(next->wait());
    EXPECT_EQ(next->finish().reason, FinishReason::kLength);
    EXPECT_GE(link_->stats().restarts, 2u);
    EXPECT_TRUE(eventually([&] { return link_->stats().is_ready; }));
    for (const auto& outcome : {streaming, culprit, neighbour}) {
        EXPECT_EQ(outcome->finishes(), 1);
        EXPECT_EQ(outcome->late(), 0);
    }
}

INSTANTIATE_TEST_SUITE_P(
    All, LinkEnds,
    ::testing::Values(End{scripted::kAbort, "signal 6"}, End{scripted::kFault, "signal 11"},
                      End{scripted::kHang, "no progress for 500 ms"},
                      End{scripted::kGarbage, "not a message"},
                      End{scripted::kExit, "exit code 3"},
                      End{scripted::kLoseDevice, "the scripted device is lost"},
                      End{scripted::kKillItself, "signal 9"},
                      End{scripted::kHangUp, "exit code 0"}),
    [](const auto& end) { return "Act" + std::to_string(end.param.act); });

TEST_F(Link, ALateCrashOfARequestDoesNotReplayItForEver) {
    start();
    const auto outcome = submit(scripted::kAbortAt, 100, 20);
    EXPECT_TRUE(outcome->ended_with(Code::kDeviceLost));
    EXPECT_EQ(outcome->losses(), 7);
    EXPECT_TRUE(submit(scripted::kAnswer)->wait());
}

TEST_F(Link, AStallIsToldAndProgressIsNotAStall) {
    options_.stall_unready_ms = 200;
    options_.stall_abort_ms = 600;
    start();
    const pid_t child = ready();
    const auto slow = submit(scripted::kSlow, 2, 1'500);
    bool was_stalled = false;
    while (slow->finishes() == 0) {
        was_stalled |= link_->stats().not_ready == "stalled";
        std::this_thread::sleep_for(milliseconds(20));
    }
    EXPECT_FALSE(was_stalled);
    EXPECT_EQ(slow->finish().reason, FinishReason::kLength);
    EXPECT_EQ(ready(1), child);
    const auto hanging = submit(scripted::kHang);
    EXPECT_TRUE(eventually([&] { return link_->stats().not_ready == "stalled"; }));
    EXPECT_NE(ready(2), child);
    EXPECT_TRUE(hanging->ended_with(Code::kInternal));
    EXPECT_TRUE(eventually([&] { return link_->stats().is_ready; }));
}

TEST_F(Link, AStoppedProcessIsReplaced) {
    options_.stall_unready_ms = options_.stall_abort_ms = 100;
    start();
    const pid_t child = ready();
    kill(child, SIGSTOP);
    const GenerationRequest asked = request(scripted::kAnswer);
    const auto outcome = submit(asked);
    EXPECT_NE(ready(2), child);
    ASSERT_TRUE(outcome->wait());
    EXPECT_EQ(outcome->text(), scripted::answer(asked));
}

TEST_F(Link, RequestsInOrderAfterARestart) {
    options_.model = "load_ms=8,step_us=20000";
    start();
    const pid_t child = ready();
    std::vector<std::shared_ptr<Outcome>> outcomes;
    std::vector<GenerationRequest> asked;
    for (int count = 0; count < 6; ++count) {
        asked.push_back(request(scripted::kAnswer, 6));
        outcomes.push_back(submit(asked.back()));
    }
    ASSERT_TRUE(eventually([&] { return outcomes.back()->text().size() > 8; }));
    kill(child, SIGKILL);
    for (size_t at = 0; at < outcomes.size(); ++at) {
        ASSERT_TRUE(outcomes[at]->wait());
        EXPECT_EQ(outcomes[at]->text(), scripted::answer(asked[at]));
        EXPECT_EQ(outcomes[at]->losses(), 1);
    }
    EXPECT_NE(log().find("signal 9"), std::string::npos);
}

TEST_F(Link, ACrashLoopOpensTheBreakerAndAProbeClosesIt) {
    const std::string file = ::testing::TempDir() + "/tenon_needs_" + std::to_string(getpid());
    std::ofstream(file) << "x";
    options_.model = "load_ms=4,needs=" + file;
    options_.crashes.backoff_ms = 10;
    options_.crashes.open_ms = 400;
    start();
    const pid_t child = ready();
    unlink(file.c_str());
    kill(child, SIGKILL);
    ASSERT_TRUE(eventually([&] { return link_->stats().not_ready == "crash loop"; }));
    const auto begun = std::chrono::steady_clock::now();
    EXPECT_TRUE(submit(scripted::kAnswer)->ended_with(Code::kBusy));
    EXPECT_LT(std::chrono::steady_clock::now() - begun, milliseconds(200));
    EXPECT_EQ(link_->stats().restarts, 4u);
    std::ofstream(file) << "x";
    ASSERT_NE(ready(2), child);
    const GenerationRequest asked = request(scripted::kAnswer);
    const auto outcome = submit(asked);
    ASSERT_TRUE(outcome->wait());
    EXPECT_EQ(outcome->text(), scripted::answer(asked));
    EXPECT_TRUE(link_->stats().is_ready);
    EXPECT_TRUE(failures_.empty());
    unlink(file.c_str());
}

TEST_F(Link, AModelThatCannotBeLoadedFailsOnce) {
    options_.model = "fail=" + std::to_string(static_cast<int>(Code::kConfig));
    start();
    const auto outcome = submit(scripted::kAnswer);
    EXPECT_TRUE(outcome->ended_with(Code::kConfig));
    EXPECT_TRUE(eventually([&] {
        const std::lock_guard lock(mutex_);
        return failures_.size() == 1;
    }));
    EXPECT_EQ(failures_.at(0).message, "the script says so");
    EXPECT_EQ(link_->stats().not_ready, "failed: the script says so");
    EXPECT_TRUE(submit(scripted::kAnswer)->ended_with(Code::kConfig));
}

TEST_F(Link, AnEngineThatAlwaysCrashesWhileLoadingFailsAtLast) {
    options_.model = "needs=/nonexistent";
    options_.crashes.backoff_ms = 5;
    start();
    EXPECT_TRUE(submit(scripted::kAnswer)->ended_with(Code::kInternal));
    const std::lock_guard lock(mutex_);
    ASSERT_EQ(failures_.size(), 1u);
    EXPECT_NE(failures_[0].message.find("signal 6"), std::string::npos);
}

TEST_F(Link, AProgramThatIsNotThereIsAnErrorOfTheStart) {
    options_.program = "/nonexistent/program";
    const auto link = start_engine_process(options_);
    ASSERT_FALSE(link.ok());
    EXPECT_NE(link.error().message.find("/nonexistent/program"), std::string::npos);
}

TEST_F(Link, ClocksOfARequestRunWhileNoEngineIsThere) {
    options_.model = "mute=1";
    start();
    GenerationRequest waiting = request(scripted::kAnswer);
    waiting.queue_wait_ms = 100;
    GenerationRequest hurried = request(scripted::kAnswer);
    hurried.deadline_ms = 100;
    const auto first = submit(waiting), second = submit(hurried);
    EXPECT_TRUE(first->ended_with(Code::kBusy));
    EXPECT_TRUE(second->ended_with(Code::kTimeout));
}

TEST_F(Link, ALoadWithoutProgressIsEnded) {
    options_.model = "mute=1";
    options_.load_stall_ms = 300;
    options_.crashes.deaths_max = 2;
    start();
    EXPECT_TRUE(submit(scripted::kAnswer)->ended_with(Code::kInternal));
}

TEST_F(Link, DrainEndsWhatRunsAndRefusesWhatComes) {
    start();
    ASSERT_NE(ready(), 0);
    const GenerationRequest asked = request(scripted::kAnswer, 200);
    const auto running = submit(asked);
    std::thread later([&] {
        EXPECT_TRUE(eventually([&] { return link_->stats().not_ready == "draining"; }));
        EXPECT_TRUE(submit(scripted::kAnswer)->ended_with(Code::kBusy));
    });
    EXPECT_TRUE(link_->drain(10'000));
    later.join();
    EXPECT_EQ(running->finishes(), 1);
    EXPECT_EQ(running->text(), scripted::answer(asked));
    EXPECT_TRUE(link_->drain(0));
}

TEST_F(Link, DrainWithTooLittleTimeCancelsTheRest) {
    start();
    ASSERT_NE(ready(), 0);
    const auto running = submit(scripted::kAnswer, 1'000'000);
    EXPECT_FALSE(link_->drain(50));
    EXPECT_EQ(running->finishes(), 1);
    EXPECT_EQ(running->finish().reason, FinishReason::kCancelled);
}

TEST_F(Link, TheEndOfTheLinkEndsItsRequestsAndItsProcess) {
    start();
    const pid_t child = ready();
    const auto running = submit(scripted::kAnswer, 1'000'000);
    ASSERT_TRUE(eventually([&] { return !running->text().empty(); }));
    link_.reset();
    EXPECT_EQ(running->finishes(), 1);
    EXPECT_EQ(running->finish().reason, FinishReason::kCancelled);
    EXPECT_NE(kill(child, 0), 0);
}

TEST_F(Link, SigtermOfTheChildAloneLosesNothing) {
    start();
    const pid_t child = ready();
    const GenerationRequest asked = request(scripted::kAnswer, 400);
    const auto streaming = submit(asked, true);
    ASSERT_TRUE(eventually([&] { return !streaming->text().empty(); }));
    kill(child, SIGINT);
    kill(child, SIGHUP);
    kill(child, SIGTERM);
    std::this_thread::sleep_for(milliseconds(30));
    const GenerationRequest more = request(scripted::kAnswer);
    const auto waiting = submit(more);
    ASSERT_TRUE(streaming->wait());
    EXPECT_EQ(streaming->text(), scripted::answer(asked));
    EXPECT_EQ(streaming->losses(), 0);
    ASSERT_TRUE(waiting->wait());
    EXPECT_EQ(waiting->text(), scripted::answer(more));
    EXPECT_EQ(waiting->losses(), 0);
    EXPECT_NE(ready(2), child);
}

TEST_F(Link, TheChildsErrorsAreLines) {
    start();
    EXPECT_TRUE(submit(scripted::kSpeak)->wait());
    EXPECT_TRUE(eventually([&] { return log().find("a line of the engine\n") != std::string::npos; }));
    link_.reset();
    EXPECT_NE(log().find("\nand half a li\n"), std::string::npos);
}

TEST_F(Link, NoDescriptorOfTheFrontReachesTheChild) {
    const int leak = open("/dev/null", O_RDONLY);  // not close-on-exec
    ASSERT_GE(leak, 0);
    ASSERT_EQ(dup2(leak, 200), 200);
    start();
    const pid_t child = ready();
    ASSERT_TRUE(submit(scripted::kAnswer)->wait());
    const std::string folder = "/proc/" + std::to_string(child) + "/fd";
    DIR* files = opendir(folder.c_str());
    ASSERT_NE(files, nullptr);
    int count = 0;
    while (const dirent* file = readdir(files)) {
        char target[256] = {};
        if (readlink((folder + "/" + file->d_name).c_str(), target, sizeof(target) - 1) <= 0) continue;
        ++count;
        if (std::atoi(file->d_name) > 2) {
            EXPECT_STRNE(target, "/dev/null") << file->d_name;
        }
    }
    closedir(files);
    close(leak);
    close(200);
    EXPECT_LE(count, 7);  // three standard ones, socket, page's is closed, wake, signals
}

TEST_F(Link, TheChildDiesWithItsFront) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t front = fork();
    if (front == 0) {
        EngineProcessOptions options = options_;
        options.on_log = {};
        options.on_failed = {};
        options.on_ready = [&](const EngineInfo& info) {
            const auto pid = static_cast<pid_t>(info.kv_blocks);
            static_cast<void>(!write(ends[1], &pid, sizeof(pid)));
        };
        auto link = start_engine_process(options);
        for (;;)
            pause();
    }
    pid_t child = 0;
    ASSERT_EQ(read(ends[0], &child, sizeof(child)), static_cast<ssize_t>(sizeof(child)));
    kill(front, SIGKILL);
    waitpid(front, nullptr, 0);
    EXPECT_TRUE(eventually([&] {
        std::ifstream stat("/proc/" + std::to_string(child) + "/stat");
        std::string text;
        std::getline(stat, text);
        return text.empty() || text.find(") Z ") != std::string::npos;
    }));
    close(ends[0]);
    close(ends[1]);
}

// The promise of the whole: whatever kills the engine and whenever, each request has one outcome,
// and an answer that is given is the right one.
TEST_F(Link, AHundredDeathsUnderLoad) {
    start();
    struct Entry {
        GenerationRequest request;
        std::shared_ptr<Outcome> outcome;
        bool is_streaming;
    };
    std::mutex mutex;
    std::vector<Entry> ledger;
    std::atomic<bool> is_over{false};
    const auto client = [&](uint32_t seed) {
        std::mt19937 random(seed);
        while (!is_over) {
            Entry entry{request(scripted::kAnswer, 1 + random() % 30), nullptr, random() % 2 == 0};
            entry.outcome = submit(entry.request, entry.is_streaming);
            {
                const std::lock_guard lock(mutex);
                ledger.push_back(entry);
            }
            if (random() % 10 == 0) link_->cancel(entry.request.id);
            ASSERT_TRUE(entry.outcome->wait()) << "request " << entry.request.id;
        }
    };
    std::vector<std::thread> clients;
    for (uint32_t seed = 0; seed < 8; ++seed)
        clients.emplace_back(client, seed);
    std::mt19937 random(1);
    uint64_t slowest_ms = 0;
    for (int death = 1; death <= 100; ++death) {
        const pid_t child = ready(death);
        ASSERT_NE(child, 0);
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 60'000));
        const auto begun = std::chrono::steady_clock::now();
        kill(child, random() % 2 == 0 ? SIGKILL : SIGSEGV);
        ASSERT_NE(ready(death + 1), 0);
        slowest_ms = std::max<uint64_t>(
            slowest_ms, static_cast<uint64_t>(std::chrono::duration_cast<milliseconds>(
                                                  std::chrono::steady_clock::now() - begun)
                                                  .count()));
    }
    is_over = true;
    for (std::thread& thread : clients)
        thread.join();
    size_t whole = 0, cancelled = 0, lost = 0, poison = 0;
    for (const Entry& entry : ledger) {
        EXPECT_EQ(entry.outcome->finishes(), 1);
        EXPECT_EQ(entry.outcome->late(), 0);
        const Finish finish = entry.outcome->finish();
        if (finish.reason == FinishReason::kLength) {
            EXPECT_EQ(entry.outcome->text(), scripted::answer(entry.request));
            ++whole;
        } else if (finish.reason == FinishReason::kCancelled) {
            ++cancelled;
        } else {
            ASSERT_TRUE(finish.error.has_value());
            if (finish.error->code == Code::kInternal) {
                ++poison;
            } else {
                EXPECT_EQ(finish.error->code, Code::kDeviceLost);
                ++lost;
            }
        }
    }
    RecordProperty("requests", static_cast<int>(ledger.size()));
    RecordProperty("slowest_restart_ms", static_cast<int>(slowest_ms));
    std::cout << ledger.size() << " requests: " << whole << " whole, " << cancelled
              << " cancelled, " << lost << " lost, " << poison << " taken for poison; slowest restart "
              << slowest_ms << " ms\n";
    EXPECT_GT(whole, 100u);
    EXPECT_LT(lost + poison, 800u);
    EXPECT_LT(slowest_ms, 3'000u);
    EXPECT_EQ(link_->stats().restarts, 100u);
}

}  // namespace
}  // namespace tenon::engine
