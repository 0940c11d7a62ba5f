#include "core/base/mapped_file.h"

#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "core/base/bytes.h"

namespace tenon {
namespace {

namespace fs = std::filesystem;

class MappedFileTest : public testing::Test {
protected:
    void SetUp() override {
        std::string name = (fs::temp_directory_path() / "tenon-mapped-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name;
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::string write(const std::string& name, const std::string& text) {
        const fs::path path = folder_ / name;
        std::ofstream(path, std::ios::binary) << text;
        return path.string();
    }
    std::string refusal(const std::string& path) {
        auto file = MappedFile::open(path);
        if (file.ok()) return "mapped";
        EXPECT_EQ(file.error().code, Code::kInvalid);
        return file.error().message;
    }

    fs::path folder_;
};

TEST_F(MappedFileTest, MapsARegularFileAndSurvivesMoves) {
    const std::string path = write("a", "twelve bytes");
    auto opened = MappedFile::open(path);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    MappedFile file = std::move(opened).value();
    EXPECT_EQ(as_text(file.bytes()), "twelve bytes");
    EXPECT_EQ(file.path(), path);
    const std::byte* where = file.bytes().data();
    EXPECT_TRUE(is_mapped_file(where));
    MappedFile other = std::move(file);
    EXPECT_EQ(other.bytes().data(), where);
    other = MappedFile::open(write("b", "x")).value();
    EXPECT_EQ(as_text(other.bytes()), "x");
    EXPECT_FALSE(is_mapped_file(where));
}

TEST_F(MappedFileTest, FollowsASymlink) {
    const fs::path link = folder_ / "link";
    fs::create_symlink(write("target", "data"), link);
    auto file = MappedFile::open(link.string());
    ASSERT_TRUE(file.ok()) << file.error().message;
    EXPECT_EQ(as_text(file->bytes()), "data");
}

TEST_F(MappedFileTest, RefusesWhatIsNotARegularFile) {
    const std::string fifo = (folder_ / "fifo").string();
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(refusal(fifo), fifo + " is a FIFO; a regular file is wanted");
    EXPECT_EQ(refusal(folder_.string()),
              folder_.string() + " is a directory; a regular file is wanted");
    EXPECT_EQ(refusal("/dev/null"), "/dev/null is a character device; a regular file is wanted");
    const std::string empty = write("empty", "");
    EXPECT_EQ(refusal(empty), empty + " is empty (0 bytes)");
    const std::string missing = (folder_ / "missing").string();
    EXPECT_EQ(refusal(missing), "cannot open " + missing + ": No such file or directory");
    const fs::path loop = folder_ / "loop";
    fs::create_symlink(loop, loop);
    EXPECT_NE(refusal(loop.string()).find("cannot open"), std::string::npos);
    EXPECT_NE(refusal(std::string("a\0b", 3)).find("NUL"), std::string::npos);

    const std::string socket_path = (folder_ / "socket").string();
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    ASSERT_LT(socket_path.size(), sizeof address.sun_path);
    std::memcpy(address.sun_path, socket_path.c_str(), socket_path.size() + 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_NE(refusal(socket_path).find("is a socket"), std::string::npos);
    ::close(fd);
}

TEST_F(MappedFileTest, ReleaseDropsPagesAndKeepsBytes) {
    const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const std::string text(page * 8 + 5, 'q');
    auto file = MappedFile::open(write("big", text)).value();
    file.advise_sequential();
    EXPECT_EQ(as_text(file.bytes()), text);
    file.release(1, page * 4);
    file.release(0, UINT64_MAX);
    file.release(UINT64_MAX, 1);
    file.release(page * 8 + 5, 1);
    EXPECT_EQ(as_text(file.bytes()), text);
}

TEST_F(MappedFileTest, SeesTheFileChange) {
    const std::string path = write("model", "0123456789");
    auto file = MappedFile::open(path).value();
    EXPECT_TRUE(file.check_unchanged().ok());
    fs::resize_file(path, 4);
    const Status status = file.check_unchanged();
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().message, path + " changed while in use: it had 10 bytes, has 4 bytes");
}

// A worker whose model is cut short ends with a reason of its own instead of a bare SIGBUS.
TEST_F(MappedFileTest, TruncationUnderAMappingIsRecognisedInTheSignalHandler) {
    testing::FLAGS_gtest_death_test_style = "threadsafe";
    const std::string path = write("model", std::string(64 * 1024, 'w'));
    EXPECT_EXIT(
        {
            auto file = MappedFile::open(path).value();
            struct sigaction action {};
            action.sa_flags = SA_SIGINFO;
            action.sa_sigaction = [](int, siginfo_t* info, void*) {
                const bool ours = is_mapped_file(info->si_addr);
                const char* text = ours ? "model file cut short\n" : "stray address\n";
                if (::write(2, text, std::strlen(text)) < 0) ::_exit(3);
                ::_exit(ours ? 1 : 2);
            };
            ::sigaction(SIGBUS, &action, nullptr);
            fs::resize_file(path, 1);
            const volatile std::byte* last = file.bytes().data() + 60 * 1024;
            ::_exit(*last == std::byte{0} ? 4 : 5);
        },
        testing::ExitedWithCode(1), "model file cut short");
}

}  // namespace
}  // namespace tenon
