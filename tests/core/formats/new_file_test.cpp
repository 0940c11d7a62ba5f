#include "core/formats/new_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <string>

#include <unistd.h>

namespace tenon::formats {
namespace {

class NewFileTest : public ::testing::Test {
protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "tenon-new-XXXXXX").string();
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string path(const char* name = "out") const { return folder_ / name; }
    std::string content(const char* name = "out") const {
        std::ifstream in(folder_ / name, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    size_t files() const {
        const std::filesystem::directory_iterator all(folder_);
        return static_cast<size_t>(std::distance(begin(all), end(all)));
    }
    static std::span<const std::byte> bytes(std::string_view text) {
        return std::as_bytes(std::span(text));
    }

    std::filesystem::path folder_;
};

TEST_F(NewFileTest, AppearsWhenCommitted) {
    Result<NewFile> file = NewFile::create(path(), 100, false);
    ASSERT_TRUE(file.ok()) << file.error().message;
    ASSERT_TRUE(file->write(bytes("hello ")).ok());
    ASSERT_TRUE(file->write(bytes("world")).ok());
    EXPECT_EQ(file->size(), 11u);
    EXPECT_FALSE(std::filesystem::exists(path()));
    ASSERT_TRUE(file->commit().ok());
    EXPECT_EQ(content(), "hello world");
    EXPECT_EQ(files(), 1u);
}

TEST_F(NewFileTest, LeavesNothingWhenDropped) {
    {
        Result<NewFile> file = NewFile::create(path(), 100, false);
        ASSERT_TRUE(file.ok());
        ASSERT_TRUE(file->write(bytes("half")).ok());
        NewFile moved = std::move(*file);
        EXPECT_EQ(files(), 1u);
    }
    EXPECT_EQ(files(), 0u);
}

TEST_F(NewFileTest, KeepsWhatIsThereUnlessToldOtherwise) {
    std::ofstream(path()) << "old";
    const Result<NewFile> refused = NewFile::create(path(), 1, false);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().message, path() + " exists already; --force replaces it");
    Result<NewFile> file = NewFile::create(path(), 1, true);
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->write(bytes("new")).ok());
    EXPECT_EQ(content(), "old");
    ASSERT_TRUE(file->commit().ok());
    EXPECT_EQ(content(), "new");
    EXPECT_EQ(files(), 1u);
}

TEST_F(NewFileTest, WhatAppearedMeanwhileStays) {
    Result<NewFile> file = NewFile::create(path(), 1, false);
    ASSERT_TRUE(file.ok());
    std::ofstream(path()) << "theirs";
    ASSERT_TRUE(file->write(bytes("ours")).ok());
    EXPECT_FALSE(file->commit().ok());
    EXPECT_EQ(content(), "theirs");
}

TEST_F(NewFileTest, TwoWritersAreKeptApartAndALeftoverIsTakenOver) {
    std::ofstream(path("out.part")) << "of a killed process, longer than what follows";
    Result<NewFile> file = NewFile::create(path(), 1, false);
    ASSERT_TRUE(file.ok()) << file.error().message;
    const Result<NewFile> second = NewFile::create(path(), 1, false);
    ASSERT_FALSE(second.ok());
    EXPECT_EQ(second.error().code, Code::kBusy);
    EXPECT_EQ(second.error().message, path() + " is being written by another process");
    ASSERT_TRUE(file->write(bytes("mine")).ok());
    ASSERT_TRUE(file->commit().ok());
    EXPECT_EQ(content(), "mine");
}

TEST_F(NewFileTest, ADiskTooSmallIsToldOfAtOnce) {
    const Result<NewFile> file =
        NewFile::create(path(), std::numeric_limits<int64_t>::max(), false);
    ASSERT_FALSE(file.ok());
    EXPECT_NE(file.error().message.find("bytes of disk"), std::string::npos)
        << file.error().message;
    EXPECT_EQ(files(), 0u);
}

TEST_F(NewFileTest, RefusesFoldersDevicesAndPlacesThatAreNot) {
    EXPECT_FALSE(NewFile::create(folder_.string(), 1, true).ok());
    EXPECT_FALSE(NewFile::create("/dev/null", 1, true).ok());
    const Result<NewFile> file = NewFile::create(path("no/such/folder"), 1, true);
    ASSERT_FALSE(file.ok());
    EXPECT_NE(file.error().message.find("No such file or directory"), std::string::npos);
    std::filesystem::create_symlink("elsewhere", path("out.part"));
    EXPECT_FALSE(NewFile::create(path(), 1, false).ok());
    EXPECT_FALSE(std::filesystem::exists(path("elsewhere")));
}

}  // namespace
}  // namespace tenon::formats
