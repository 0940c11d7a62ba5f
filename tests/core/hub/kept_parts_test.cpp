#include "core/hub/kept_parts.h"

#include <gtest/gtest.h>

#include <filesystem>

#include <unistd.h>

namespace tenon::hub {
namespace {

class KeptPartsTest : public testing::Test {
protected:
    KeptPartsTest()
        : folder_(std::filesystem::temp_directory_path() /
                  ("tenon-parts-" + std::to_string(getpid()))) {
        std::filesystem::create_directories(folder_);
    }
    ~KeptPartsTest() override { std::filesystem::remove_all(folder_); }
    std::string path() const { return (folder_ / "m.parts").string(); }

    // Fetches `bytes` of the first piece of a file of 4 MiB and writes that down.
    void leave(uint64_t bytes) const {
        KeptParts parts(path());
        EXPECT_EQ(parts.open(4u << 20, "etag:a", 2), KeptParts::Found::kNothing);
        const std::optional<size_t> taken = parts.take();
        ASSERT_TRUE(taken);
        parts.advance(*taken, bytes);
        parts.save({});
    }

    std::filesystem::path folder_;
};

TEST_F(KeptPartsTest, GoesOnWhereACallBeforeEnded) {
    leave(1000);
    KeptParts parts(path());
    EXPECT_EQ(parts.open(4u << 20, "etag:a", 2), KeptParts::Found::kSome);
    EXPECT_EQ(parts.done(), 1000u);
    EXPECT_EQ(parts.missing(0).begin, 1000u);
}

TEST_F(KeptPartsTest, WhatIsOfAnotherFileIsRemoved) {
    leave(1000);
    KeptParts parts(path());
    EXPECT_EQ(parts.open(4u << 20, "etag:b", 2), KeptParts::Found::kOther);
    EXPECT_EQ(parts.done(), 0u);
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(KeptPartsTest, NothingIsKeptOfAFileThatCannotBeToldFromOthers) {
    KeptParts parts(path());
    EXPECT_EQ(parts.open(4u << 20, "", 2), KeptParts::Found::kNothing);
    parts.advance(*parts.take(), 10);
    parts.save({});
    EXPECT_FALSE(std::filesystem::exists(path()));
}

TEST_F(KeptPartsTest, WritesDownOnlyBytesThatAreOnDisk) {
    KeptParts parts(path());
    parts.open(4u << 20, "etag:a", 2);
    int asked = 0;
    const auto refuse = [&]() -> Status {
        ++asked;
        return Error{Code::kInternal, "no"};
    };
    parts.save(refuse);
    EXPECT_EQ(asked, 0) << "nothing is new";
    parts.advance(*parts.take(), 10);
    parts.save(refuse);
    EXPECT_EQ(asked, 1);
    EXPECT_FALSE(std::filesystem::exists(path()));
    parts.save({});
    EXPECT_TRUE(std::filesystem::exists(path()));
}

}  // namespace
}  // namespace tenon::hub
