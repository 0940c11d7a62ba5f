#include "core/base/bytes.h"

#include <array>
#include <limits>

#include <gtest/gtest.h>

namespace tenon {
namespace {

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

TEST(CheckedSize, RemembersOverflow) {
    EXPECT_EQ((CheckedSize(6) * 7 + 1).value(), 43u);
    EXPECT_FALSE((CheckedSize(kMax) + 1).ok());
    EXPECT_FALSE((CheckedSize(uint64_t{1} << 32) * (uint64_t{1} << 32)).ok());
    EXPECT_FALSE(((CheckedSize(kMax) + 1) * 0).ok()) << "an overflow must not be forgotten";
    EXPECT_TRUE((CheckedSize(kMax) * 1).ok());
    EXPECT_FALSE((CheckedSize(5) * 5).fits(24));
    EXPECT_TRUE((CheckedSize(5) * 5).fits(25));
}

TEST(CheckedSize, GetNamesWhatWasCounted) {
    const auto result = (CheckedSize(kMax) * 2).get("tensor x");
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message, "tensor x does not fit in 64 bits");
}

TEST(CheckedSize, AlignsUp) {
    EXPECT_EQ(align_up(0, 32).value(), 0u);
    EXPECT_EQ(align_up(1, 32).value(), 32u);
    EXPECT_EQ(align_up(64, 32).value(), 64u);
    EXPECT_FALSE(align_up(kMax, 32).ok());
}

TEST(ByteReader, ReadsLittleEndianInsideTheBytes) {
    const std::array<uint8_t, 7> raw{0x78, 0x56, 0x34, 0x12, 'a', 'b', 0xff};
    ByteReader reader(std::as_bytes(std::span(raw)));
    EXPECT_EQ(reader.read<uint32_t>("number").value(), 0x12345678u);
    EXPECT_EQ(as_text(reader.take(2, "text").value()), "ab");
    EXPECT_EQ(reader.offset(), 6u);
    EXPECT_EQ(reader.read<int8_t>("byte").value(), -1);
    EXPECT_EQ(reader.remaining(), 0u);
}

TEST(ByteReader, RefusesToPassTheEnd) {
    const std::array<uint8_t, 3> raw{1, 2, 3};
    ByteReader reader(std::as_bytes(std::span(raw)));
    const auto number = reader.read<uint32_t>("the count");
    ASSERT_FALSE(number.ok());
    EXPECT_EQ(number.error().code, Code::kData);
    EXPECT_EQ(number.error().message,
              "truncated: the count at offset 0x0 needs 4 bytes, has 3 bytes");
    EXPECT_EQ(reader.offset(), 0u) << "a failed read moves nothing";
    EXPECT_FALSE(reader.take(kMax, "text").ok());
    EXPECT_TRUE(reader.take(3, "text").ok());
    EXPECT_TRUE(reader.take(0, "nothing").ok());
}

TEST(Printable, EscapesAndCuts) {
    EXPECT_EQ(printable("blk.0.attn_q"), "blk.0.attn_q");
    EXPECT_EQ(printable(std::string_view("a\x1b[31m\n\0b", 8)), "a\\x1b[31m\\x0a\\x00");
    EXPECT_EQ(printable("abcdef", 3), "abc...");
}

}  // namespace
}  // namespace tenon
