#include "backends/common/row_copy.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon::common {
namespace {

// Three rows of 4 bytes from a pitch of 8 to a pitch of 5, between buffers of 24 and 16 bytes.
struct CopyTest : testing::Test {
    CopyTest() {
        copy.dst = reinterpret_cast<tenon_buffer*>(&memory[0]);
        copy.src = reinterpret_cast<tenon_buffer*>(&memory[1]);
        copy.rows = 3;
        copy.row_bytes = 4;
        copy.dst_pitch = 5;
        copy.src_pitch = 8;
    }
    std::string refusal() { return check_copy(6, copy, 16, 24).message(); }

    int memory[2] = {};
    tenon_copy copy{};
};

TEST_F(CopyTest, TheLastRowEndsInside) {
    EXPECT_EQ(refusal(), "");
    copy.dst_offset = 2;
    copy.src_offset = 4;
    EXPECT_EQ(refusal(), "");
    copy.dst_offset = 3;
    EXPECT_EQ(refusal(), "Copy 6 leaves its buffer.");
    copy.dst_offset = 0;
    copy.src_offset = 5;
    EXPECT_EQ(refusal(), "Copy 6 leaves its buffer.");
}

TEST_F(CopyTest, NothingWraps) {
    copy.rows = uint64_t{1} << 62;
    copy.dst_pitch = copy.src_pitch = 4;
    EXPECT_EQ(refusal(), "Copy 6 leaves its buffer.");
    copy.rows = 1;
    copy.row_bytes = UINT64_MAX;
    EXPECT_EQ(refusal(), "Copy 6 leaves its buffer.");
    copy.row_bytes = 4;
    copy.dst_offset = UINT64_MAX - 1;
    EXPECT_EQ(refusal(), "Copy 6 leaves its buffer.");
}

TEST_F(CopyTest, RowsDoNotOverlapTheirNeighbours) {
    copy.dst_pitch = 3;
    EXPECT_EQ(refusal(), "Copy 6 has a pitch below its row of 4 bytes.");
    copy.rows = 1;
    EXPECT_EQ(refusal(), "");
}

TEST_F(CopyTest, TheHostsSideIsItsOwn) {
    copy.dst = nullptr;
    EXPECT_EQ(check_copy(0, copy, 0, 24).code(), TENON_OK);
    EXPECT_EQ(check_copy(0, copy, 0, 0).code(), TENON_INVALID);
}

TEST_F(CopyTest, RowsArriveAtTheirPitch) {
    const std::string from = "aaaa....bbbb....cccc....";
    std::string to(16, '-');
    copy.dst_offset = 1;
    copy_rows(copy, reinterpret_cast<uint8_t*>(to.data()),
              reinterpret_cast<const uint8_t*>(from.data()));
    EXPECT_EQ(to, "-aaaa-bbbb-cccc-");
}

TEST_F(CopyTest, EmptyRowsTakeNoTime) {
    copy.rows = UINT64_MAX;
    copy.row_bytes = copy.dst_pitch = copy.src_pitch = 0;
    EXPECT_EQ(refusal(), "");
    copy_rows(copy, nullptr, nullptr);
}

}  // namespace
}  // namespace tenon::common
