// The file alone; what a driver gets of it is in tests/fault/pipeline_cache_test.cpp.
#include "backends/vulkan/pipeline_cache.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace tenon::vulkan {
namespace {

namespace fs = std::filesystem;

class PipelineCacheFile : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("tenon-cache-file-" + std::to_string(getpid()));
        fs::create_directory(folder_);
        path_ = folder_ / "vulkan.cache";
        owner_.vendor = 0x10005;
        owner_.device = 7;
        owner_.driver_version = 3;
        for (size_t i = 0; i < 16; ++i) {
            owner_.cache_uuid[i] = static_cast<uint8_t>(i);
            owner_.driver_uuid[i] = static_cast<uint8_t>(40 + i);
        }
        for (size_t i = 0; i < 300; ++i)
            bytes_.push_back(static_cast<uint8_t>(i * 7));
    }
    void TearDown() override { fs::remove_all(folder_); }

    CacheState read(const CacheOwner& owner) {
        const CacheState state = read_cache(path_, owner, seen_);
        EXPECT_EQ(seen_.empty(), state != CacheState::kUsed);
        EXPECT_TRUE(state != CacheState::kUsed || seen_ == bytes_);
        return state;
    }
    CacheState read() { return read(owner_); }
    std::vector<char> file() const {
        std::ifstream in(path_, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    }
    void overwrite(const std::vector<char>& bytes) const {
        std::ofstream(path_, std::ios::binary | std::ios::trunc)
            .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
    size_t files() const {
        const fs::directory_iterator all(folder_);
        return static_cast<size_t>(std::distance(begin(all), end(all)));
    }

    fs::path folder_, path_;
    CacheOwner owner_;
    std::vector<uint8_t> bytes_, seen_;
};

TEST_F(PipelineCacheFile, GivesBackWhatWasWritten) {
    EXPECT_EQ(read(), CacheState::kAbsent);
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    EXPECT_EQ(read(), CacheState::kUsed);
    bytes_.resize(20);
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    EXPECT_EQ(read(), CacheState::kUsed);
    EXPECT_EQ(files(), 1u);
}

TEST_F(PipelineCacheFile, EveryChangedBitIsFound) {
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    const std::vector<char> whole = file();
    for (size_t at = 0; at < whole.size(); ++at) {
        for (const int bit : {0, 7}) {
            std::vector<char> bytes = whole;
            bytes[at] = static_cast<char>(bytes[at] ^ 1 << bit);
            overwrite(bytes);
            EXPECT_EQ(read(), CacheState::kDamaged) << at;
        }
    }
}

TEST_F(PipelineCacheFile, EveryOtherLengthIsFound) {
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    const std::vector<char> whole = file();
    for (size_t count = 0; count < whole.size() + 3; ++count) {
        if (count == whole.size()) continue;
        std::vector<char> bytes = whole;
        bytes.resize(count);
        overwrite(bytes);
        EXPECT_EQ(read(), CacheState::kDamaged) << count;
    }
}

TEST_F(PipelineCacheFile, AnotherOwnerGetsNothing) {
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    for (size_t at = 0; at < sizeof(CacheOwner); ++at) {
        CacheOwner other = owner_;
        reinterpret_cast<uint8_t*>(&other)[at] ^= 1;
        EXPECT_EQ(read(other), CacheState::kForeign) << at;
    }
    EXPECT_EQ(read(), CacheState::kUsed);
}

TEST_F(PipelineCacheFile, WhatIsNoFileIsNoCache) {
    fs::create_directory(path_);
    EXPECT_EQ(read(), CacheState::kDamaged);
    EXPECT_FALSE(write_cache(path_, owner_, bytes_));
    EXPECT_EQ(errno, EISDIR);
    EXPECT_EQ(files(), 1u);
    fs::remove(path_);
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    EXPECT_EQ(read(), CacheState::kDamaged);
    EXPECT_TRUE(write_cache(path_, owner_, bytes_));
    EXPECT_EQ(read(), CacheState::kUsed);
    // Behind a link nothing is written.
    const fs::path aim = folder_ / "aim";
    fs::create_symlink(aim, path_.string() + ".part");
    EXPECT_FALSE(write_cache(path_, owner_, bytes_));
    EXPECT_FALSE(fs::exists(aim));
    EXPECT_FALSE(write_cache(folder_ / "missing" / "file", owner_, bytes_));
    EXPECT_EQ(errno, ENOENT);
}

TEST_F(PipelineCacheFile, AFullDiskLeavesTheOldFile) {
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (const rlim_t room : {rlim_t{0}, rlim_t{20}, rlim_t{200}}) {
        const rlimit small{room, before.rlim_max};
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
        const bool written = write_cache(path_, owner_, std::vector<uint8_t>(1000));
        const int why = errno;
        ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
        EXPECT_FALSE(written);
        EXPECT_EQ(why, EFBIG);
        EXPECT_EQ(read(), CacheState::kUsed);
        EXPECT_EQ(files(), 1u);
    }
}

TEST_F(PipelineCacheFile, OneWriterAtATime) {
    ASSERT_TRUE(write_cache(path_, owner_, bytes_));
    const std::string part = path_.string() + ".part";
    const int other = open(part.c_str(), O_WRONLY | O_CREAT, 0600);
    ASSERT_EQ(flock(other, LOCK_EX), 0);
    EXPECT_TRUE(write_cache(path_, owner_, {1, 2, 3}));
    EXPECT_EQ(read(), CacheState::kUsed);  // the old one: the other's turn was not taken
    close(other);                          // killed: what it left is written over
    bytes_ = {1, 2, 3};
    EXPECT_TRUE(write_cache(path_, owner_, bytes_));
    EXPECT_EQ(read(), CacheState::kUsed);
    EXPECT_EQ(files(), 1u);
}

}  // namespace
}  // namespace tenon::vulkan
