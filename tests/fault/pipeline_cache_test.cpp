// The file of the pipeline cache: it saves time or does nothing, whatever happened to it.
#include "tests/fault/layered.h"

#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace tenon::fault {
namespace {

namespace fs = std::filesystem;

constexpr char kFolder[] = "TENON_TEST_CACHE_FOLDER";  // of a second process
constexpr size_t kHeaderBytes = 72;
constexpr size_t kDriverVersionAt = 20;

class PipelineCache : public Layered {
protected:
    void SetUp() override {
        Layered::SetUp();
        if (testing::Test::IsSkipped() || testing::Test::HasFatalFailure()) return;
        folder_ = fs::temp_directory_path() / ("tenon-cache-" + std::to_string(getpid()));
        fs::create_directory(folder_);
        host::set_log(
            [](void* self, tenon_log_level level, tenon_str text) {
                if (level <= TENON_LOG_WARN)
                    static_cast<PipelineCache*>(self)->warnings_.emplace_back(text.p, text.n);
            },
            this);
    }
    void TearDown() override {
        host::set_log(nullptr, nullptr);
        if (!folder_.empty()) fs::remove_all(folder_);
    }

    // A run with the cache in `folder`: the right answer, and so many caches given to the driver.
    void expect_answer(const fs::path& folder, uint64_t given, size_t warnings) {
        arm_(Call::kNone, 0, false);
        warnings_.clear();
        const Result<Logits> answer = run({{"pipeline_cache", folder.string()}});
        ASSERT_OK(answer);
        EXPECT_EQ(*answer, expected_);
        EXPECT_EQ(counts_().caches_given, given);
        EXPECT_EQ(counts_().caches_strange, 0u);
        EXPECT_EQ(warnings_.size(), warnings) << (warnings_.empty() ? "" : warnings_.front());
        expect_nothing_left();
    }

    // The one file of the folder.
    fs::path file() const {
        fs::path found;
        for (const auto& entry : fs::directory_iterator(folder_)) {
            EXPECT_TRUE(found.empty()) << found << " and " << entry.path();
            found = entry.path();
        }
        EXPECT_FALSE(found.empty());
        return found;
    }

    static void overwrite(const fs::path& path, const std::vector<char>& bytes) {
        std::ofstream(path, std::ios::binary | std::ios::trunc)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }

    fs::path folder_;
    std::vector<std::string> warnings_;
};

TEST_F(PipelineCache, TheSecondStartHasWhatTheFirstWrote) {
    expect_answer(folder_, 0, 0);
    EXPECT_GT(fs::file_size(file()), kHeaderBytes + kCacheBytes);
    EXPECT_EQ(fs::status(file()).permissions(), fs::perms::owner_read | fs::perms::owner_write);
    expect_answer(folder_, 1, 0);
}

// tests/backends/vulkan/pipeline_cache_test.cpp tries every byte.
TEST_F(PipelineCache, DamageCostsOneWarningAndIsMended) {
    expect_answer(folder_, 0, 0);
    const fs::path path = file();
    const std::vector<char> whole = tiny::read_bytes(path.string());
    std::vector<char> bytes = whole;
    bytes.resize(whole.size() - 1);
    overwrite(path, bytes);
    expect_answer(folder_, 0, 1);
    EXPECT_EQ(tiny::read_bytes(path.string()), whole);
    bytes = whole;
    bytes[kHeaderBytes + 20] ^= 1;
    overwrite(path, bytes);
    expect_answer(folder_, 0, 1);
    expect_answer(folder_, 1, 0);
}

// Whole and with the right checksum, from another driver.
TEST_F(PipelineCache, TheFileOfAnotherDriverIsReplaced) {
    expect_answer(folder_, 0, 0);
    const fs::path path = file();
    const std::vector<char> whole = tiny::read_bytes(path.string());
    std::vector<char> bytes = whole;
    bytes[kDriverVersionAt] ^= 1;
    uint64_t sum = 0xcbf29ce484222325u;
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (i >= kHeaderBytes - 8 && i < kHeaderBytes) continue;
        sum = (sum ^ static_cast<uint8_t>(bytes[i])) * 0x100000001b3u;
    }
    std::memcpy(bytes.data() + kHeaderBytes - 8, &sum, sizeof sum);
    overwrite(path, bytes);
    expect_answer(folder_, 0, 0);
    EXPECT_EQ(tiny::read_bytes(path.string()), whole);
}

TEST_F(PipelineCache, WhatIsNoFileIsNoCache) {
    expect_answer(folder_, 0, 0);
    const fs::path path = file();
    fs::remove(path);
    fs::create_directory(path);
    expect_answer(folder_, 0, 1);
    EXPECT_TRUE(fs::is_directory(path));
}

TEST_F(PipelineCache, FoldersThatTakeNoFileCostOneWarning) {
    expect_answer(folder_ / "missing", 0, 1);
    overwrite(folder_ / "plain", {'x'});
    expect_answer(folder_ / "plain", 0, 1);
}

// As a full disk does, the limit lets a part of the file be written.
TEST_F(PipelineCache, AFullDiskCostsOneWarning) {
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const rlimit small{20000, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    expect_answer(folder_, 0, 1);
    EXPECT_TRUE(fs::is_empty(folder_));
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
}

TEST_F(PipelineCache, DISABLED_SecondProcess) {
    const fs::path folder = std::getenv(kFolder);
    for (int i = 0; i < 3; ++i) {
        for (const auto& entry : fs::directory_iterator(folder)) {
            // Not what the other process is writing: to lose that is worth its warning.
            if (i % 2 != 0 || entry.path().extension() != ".cache") continue;
            std::error_code gone;  // the other process may be the one that takes it away
            fs::remove(entry.path(), gone);
        }
        const Result<Logits> answer = run({{"pipeline_cache", folder.string()}});
        ASSERT_OK(answer);
        EXPECT_EQ(*answer, expected_);
        EXPECT_EQ(counts_().caches_strange, 0u);
        EXPECT_TRUE(warnings_.empty()) << warnings_.front();
    }
}

TEST_F(PipelineCache, TwoProcessesShareTheFolder) {
    setenv(kFolder, folder_.c_str(), 1);
    std::vector<pid_t> pids;
    for (int i = 0; i < 2; ++i) {
        const char* words[] = {"test_fault", "--gtest_filter=PipelineCache.DISABLED_SecondProcess",
                               "--gtest_also_run_disabled_tests", "--gtest_brief=1", nullptr};
        pid_t pid = 0;
        ASSERT_EQ(posix_spawn(&pid, "/proc/self/exe", nullptr, nullptr,
                              const_cast<char* const*>(words), environ),
                  0);
        pids.push_back(pid);
    }
    for (const pid_t pid : pids) {
        int status = 0;
        ASSERT_EQ(waitpid(pid, &status, 0), pid);
        EXPECT_EQ(status, 0);
    }
    expect_answer(folder_, 1, 0);
    file();  // and nothing else is left
}

}  // namespace
}  // namespace tenon::fault
