#include "core/base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tenon {
namespace {

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

class LogTest : public testing::Test {
protected:
    void SetUp() override { std::remove(path.c_str()); }
    std::string path = testing::TempDir() + "log_test_" +
                       testing::UnitTest::GetInstance()->current_test_info()->name();

    std::unique_ptr<Log> open(LogOptions options) {
        options.file = path;
        options.now_ms = [] { return uint64_t{1'767'323'045'678}; };
        Result<std::unique_ptr<Log>> log = Log::open(std::move(options));
        EXPECT_TRUE(log.ok());
        return log.ok() ? std::move(log).value() : nullptr;
    }
};

TEST_F(LogTest, WritesTextAndJsonThatNoTextCanForge) {
    {
        auto log = open({});
        log->write(LogLevel::kInfo, "two\nlines",
                   {{"id", "a b\n2026 error"}, {"n", 3}, {"ok", true}});
        log->write(LogLevel::kDebug, "not wanted");
    }
    EXPECT_EQ(read_file(path),
              "2026-01-02T03:04:05.678Z info two lines id=\"a b\\n2026 error\" n=3 ok=true\n");
    std::remove(path.c_str());
    {
        LogOptions options;
        options.json = true;
        auto log = open(options);
        log->write(LogLevel::kWarn, "x\"y", {{"id", "\n"}, {"ms", 0.5}});
    }
    EXPECT_EQ(read_file(path),
              "{\"ts\":\"2026-01-02T03:04:05.678Z\",\"level\":\"warn\","
              "\"msg\":\"x\\\"y\",\"id\":\"\\n\",\"ms\":0.5}\n");
}

TEST_F(LogTest, CutsLongLines) {
    for (const bool json : {false, true}) {
        std::remove(path.c_str());
        LogOptions options;
        options.json = json;
        options.line_bytes = 512;
        auto log = open(options);
        log->write(LogLevel::kInfo, "long",
                   {{"a", std::string(5000, '\xc3')}, {"b", std::string(5000, 'b')}});
        log->flush(1000);
        const std::string text = read_file(path);
        EXPECT_LE(text.size(), 512u);
        EXPECT_EQ(text.back(), '\n');
    }
}

TEST_F(LogTest, CountsWhatItDropsAboveTheRate) {
    LogOptions options;
    options.lines_per_second = 10;
    auto log = open(options);
    for (int i = 0; i < 100; ++i)
        log->write(LogLevel::kInfo, "line");
    log->flush(1000);
    const std::string text = read_file(path);
    EXPECT_GE(log->dropped(), 80u);
    EXPECT_EQ(static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n')) + log->dropped(),
              100u);
}

TEST_F(LogTest, AFullPipeStopsNobody) {
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    ASSERT_GE(reader, 0);
    LogOptions options;
    options.lines_per_second = 1'000'000;
    options.queue_bytes = 64 << 10;
    auto log = open(options);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 2'000; ++i)
        log->write(LogLevel::kInfo, std::string(200, 'x'));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
    EXPECT_GT(log->dropped(), 0u);
    const auto stop = std::chrono::steady_clock::now();
    log.reset();
    EXPECT_LT(std::chrono::steady_clock::now() - stop, std::chrono::seconds(1));
    close(reader);
}

TEST_F(LogTest, OpensTheFileAgainAfterItWasMoved) {
    auto log = open({});
    log->write(LogLevel::kInfo, "first");
    log->flush(1000);
    const std::string moved = path + ".1";
    ASSERT_EQ(std::rename(path.c_str(), moved.c_str()), 0);
    ASSERT_TRUE(log->reopen().ok());
    log->write(LogLevel::kInfo, "second");
    log->flush(1000);
    EXPECT_NE(read_file(moved).find("first"), std::string::npos);
    EXPECT_EQ(read_file(moved).find("second"), std::string::npos);
    EXPECT_NE(read_file(path).find("second"), std::string::npos);
}

TEST_F(LogTest, SaysWhichFileCannotBeOpened) {
    LogOptions options;
    options.file = "/nowhere/at/all.log";
    const Result<std::unique_ptr<Log>> log = Log::open(options);
    ASSERT_FALSE(log.ok());
    EXPECT_EQ(log.error().message, "log.file /nowhere/at/all.log: No such file or directory");
}

}  // namespace
}  // namespace tenon
