#include "backends/common/host_buffer.h"

#include <gtest/gtest.h>

#include <string>

#include <tenon/sdk/fake_host.hpp>

namespace tenon::common {
namespace {

struct Handles {
    static HostBuffer* get(tenon_buffer* buffer) { return reinterpret_cast<HostBuffer*>(buffer); }
};

struct HostBufferTest : testing::Test {
    HostBufferTest() { sdk::g_host = host.table(); }
    ~HostBufferTest() override { sdk::g_host = nullptr; }

    static sdk::Status alloc(HostBuffer& buffer, uint64_t bytes) {
        tenon_buffer_desc desc{};
        desc.bytes = bytes;
        desc.align = 64;
        return buffer.alloc(desc);
    }
    static tenon_buffer* handle(HostBuffer& buffer) {
        return reinterpret_cast<tenon_buffer*>(&buffer);
    }
    static tenon_copy one_row(uint64_t bytes) {
        tenon_copy copy{};
        copy.rows = 1;
        copy.row_bytes = bytes;
        return copy;
    }

    sdk::FakeHost host;
};

TEST_F(HostBufferTest, IsZeroAndAligned) {
    HostBuffer buffer;
    ASSERT_TRUE(alloc(buffer, 5000).ok());
    EXPECT_EQ(buffer.memory.bytes(), 5000u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.at(0)) % 64, 0u);
    EXPECT_EQ(std::string(reinterpret_cast<char*>(buffer.at(0)), 5000), std::string(5000, '\0'));
    EXPECT_EQ(buffer.at(7), buffer.at(0) + 7);
}

TEST_F(HostBufferTest, ABufferOfNothingHasAPlace) {
    HostBuffer buffer;
    ASSERT_TRUE(alloc(buffer, 0).ok());
    EXPECT_NE(buffer.at(0), nullptr);
}

TEST_F(HostBufferTest, OutOfMemoryTakesNothing) {
    host.fail_allocation_after(0);
    HostBuffer buffer;
    const sdk::Status status = alloc(buffer, 4096);
    EXPECT_EQ(status.code(), TENON_OOM_DEVICE);
    EXPECT_STREQ(status.message(), "A buffer of 4096 bytes does not fit into memory.");
    EXPECT_EQ(buffer.memory.data(), nullptr);
    EXPECT_EQ(host.bytes_live(), 0u);
}

// Host to the first buffer, from there to the second, from there to the host.
TEST_F(HostBufferTest, CopiesRunInTheirOrder) {
    HostBuffer first, second;
    ASSERT_TRUE(alloc(first, 8).ok());
    ASSERT_TRUE(alloc(second, 8).ok());
    const char in[] = "abcd";
    char out[4] = {};
    tenon_copy copies[3] = {one_row(4), one_row(4), one_row(3)};
    copies[0].host_src = in;
    copies[0].dst = handle(first);
    copies[0].dst_offset = 2;
    copies[1].src = handle(first);
    copies[1].src_offset = 2;
    copies[1].dst = handle(second);
    copies[1].dst_offset = 4;
    copies[2].src = handle(second);
    copies[2].src_offset = 5;
    copies[2].host_dst = out;
    ASSERT_TRUE(check_copies<Handles>(copies, 3).ok());
    run_copies<Handles>(copies, 3);
    EXPECT_STREQ(out, "bcd");
}

TEST_F(HostBufferTest, EachSideIsHeldToItsOwnBuffer) {
    HostBuffer small, large;
    ASSERT_TRUE(alloc(small, 8).ok());
    ASSERT_TRUE(alloc(large, 16).ok());
    tenon_copy copies[2] = {one_row(8), one_row(9)};
    for (tenon_copy& copy : copies) {
        copy.src = handle(large);
        copy.dst = handle(small);
    }
    EXPECT_STREQ(check_copies<Handles>(copies, 2).message(), "Copy 1 leaves its buffer.");
    std::swap(copies[1].src, copies[1].dst);
    EXPECT_STREQ(check_copies<Handles>(copies, 2).message(), "Copy 1 leaves its buffer.");
    EXPECT_TRUE(check_copies<Handles>(copies, 1).ok());
}

}  // namespace
}  // namespace tenon::common
