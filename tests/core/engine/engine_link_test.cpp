#include "core/engine/engine_link.h"

#include "tests/core/engine/link_fixture.h"

#include <csignal>
#include <cstdlib>
#include <fstream>

#include <dirent.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenon::engine {
namespace {

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
    EXPECT_TRUE(
        eventually([&] { return log().find("a line of the engine\n") != std::string::npos; }));
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
        if (readlink((folder + "/" + file->d_name).c_str(), target, sizeof(target) - 1) <= 0)
            continue;
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

}  // namespace
}  // namespace tenon::engine
