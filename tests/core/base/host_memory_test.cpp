#include "core/base/host_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <unistd.h>

namespace tenon {
namespace {

namespace fs = std::filesystem;

struct HostMemoryFiles : testing::Test {
    void SetUp() override {
        root = fs::temp_directory_path() / ("host-memory-" + std::to_string(getpid()));
        write("proc/meminfo",
              "MemTotal:        8000000 kB\nMemFree: 1 kB\nMemAvailable:    6000000 kB\n");
    }
    void TearDown() override { fs::remove_all(root); }
    void write(const std::string& file, const std::string& text) {
        fs::create_directories((root / file).parent_path());
        std::ofstream(root / file) << text;
    }
    HostMemory read() {
        Result<HostMemory> memory = read_host_memory(root.string());
        EXPECT_TRUE(memory.ok());
        return memory.ok() ? *memory : HostMemory{};
    }
    fs::path root;
};

TEST_F(HostMemoryFiles, IsTheMachinesWithoutAGroup) {
    const HostMemory memory = read();
    EXPECT_EQ(memory.total, 8'000'000u * 1024ull);
    EXPECT_EQ(memory.available, 6'000'000u * 1024ull);
    EXPECT_EQ(memory.total_of, "/proc/meminfo");
}

TEST_F(HostMemoryFiles, ObeysVersion2AndTheGroupsAbove) {
    write("proc/self/cgroup", "0::/system.slice/tenon.service\n");
    write("sys/fs/cgroup/system.slice/tenon.service/memory.max", "max\n");
    write("sys/fs/cgroup/system.slice/memory.max", "1000000\n");
    write("sys/fs/cgroup/system.slice/memory.current", "700000\n");
    write("sys/fs/cgroup/system.slice/memory.stat", "anon 5\ninactive_file 200000\n");
    const HostMemory memory = read();
    EXPECT_EQ(memory.total, 1'000'000u);
    EXPECT_EQ(memory.available, 500'000u);
    EXPECT_EQ(memory.total_of, "/sys/fs/cgroup/system.slice/memory.max");
    EXPECT_EQ(memory.available_of, memory.total_of);
}

TEST_F(HostMemoryFiles, ObeysVersion1) {
    write("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "2000000\n");  // its group is the mount
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", "2500000\n");
    const HostMemory memory = read();
    EXPECT_EQ(memory.total, 2'000'000u);
    EXPECT_EQ(memory.available, 0u);
}

TEST_F(HostMemoryFiles, IgnoresALimitThatIsNone) {
    write("proc/self/cgroup", "4:memory:/\n0::/\n");
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    write("sys/fs/cgroup/memory.max", "max\n");
    EXPECT_EQ(read().total, 8'000'000u * 1024ull);
}

TEST_F(HostMemoryFiles, SaysWhatIsMissing) {
    fs::remove_all(root);
    const Result<HostMemory> memory = read_host_memory(root.string());
    ASSERT_FALSE(memory.ok());
    EXPECT_EQ(memory.error().code, Code::kUnsupported);
    EXPECT_NE(memory.error().message.find("/proc/meminfo"), std::string::npos);
}

TEST(HostMemory, OfThisMachineIsSomething) {
    const Result<HostMemory> memory = read_host_memory();
    ASSERT_TRUE(memory.ok());
    EXPECT_GT(memory->available, 0u);
    EXPECT_LE(memory->available, memory->total);
}

}  // namespace
}  // namespace tenon
