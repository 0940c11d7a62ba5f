// Devices, buffers and strided copies.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "tests/conformance/trial.h"

namespace {

using namespace tenon;
using namespace tenon::conformance;

constexpr uint64_t kWaitNs = uint64_t{10} * 1000 * 1000 * 1000;

struct Lane {
    host::Queue queue;
    host::Timeline timeline;
    uint64_t value = 0;

    Status open() {
        TENON_TRY(queue, Target::instance().device().queue());
        TENON_TRY(timeline, Target::instance().device().timeline());
        return {};
    }
    Status copy(const std::vector<tenon_copy>& copies) {
        const tenon_point done = timeline.at(++value);
        TENON_CHECK(queue.copy(copies, {{}, {&done, 1}}));
        return timeline.wait(value, kWaitNs);
    }
};

TEST(Device, IsListedWithoutACapAndOpensTwice) {
    const Target& target = Target::instance();
    uint32_t count = 0;
    tenon_error error{};
    error.size = sizeof error;
    ASSERT_EQ(target.table().enumerate(nullptr, sizeof(tenon_device_info), &count, &error),
              TENON_OK);
    ASSERT_GE(count, 1u);
    auto devices = target.backend().enumerate();
    CONFORMANCE_MADE(devices);
    EXPECT_EQ(devices->size(), count);
    std::set<std::string> uuids;
    for (const tenon_device_info& info : *devices) {
        EXPECT_NE(std::memchr(info.name, 0, sizeof info.name), nullptr);
        EXPECT_NE(std::memchr(info.detail, 0, sizeof info.detail), nullptr);
        EXPECT_TRUE(uuids.insert(std::string(reinterpret_cast<const char*>(info.uuid), 16)).second);
    }
    auto again = target.backend().open(target.info().uuid, target.options());
    CONFORMANCE_MADE(again);
    auto stat = again->stat();
    CONFORMANCE_MADE(stat);
    EXPECT_EQ(std::memcmp(stat->uuid, target.info().uuid, 16), 0);
    EXPECT_EQ(again->find_extension("tenon.no_such_interface/0"), nullptr);
}

TEST(Device, UnknownOptionsAndUuidsAreNamed) {
    const Target& target = Target::instance();
    const auto refused = target.backend().open(
        target.info().uuid, std::vector<host::DeviceOption>{{"no_such_option", "1"}});
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.error().code, Code::kInvalid);
    EXPECT_NE(refused.error().message.find("no_such_option"), std::string::npos)
        << refused.error().message;
    uint8_t uuid[16];
    for (uint8_t& byte : uuid)
        byte = 0xEE;
    EXPECT_FALSE(target.backend().open(uuid).ok());
}

TEST(Buffer, IsZeroedAndHoldsWhatIsCopied) {
    Lane lane;
    CONFORMANCE_OK(lane.open());
    Random random(Target::instance().seed(), 1);
    for (const uint64_t size : {1u, 3u, 64u, 4096u, 100003u}) {
        SCOPED_TRACE(size);
        auto buffer = Target::instance().device().buffer(size, TENON_BUF_INPUT | TENON_BUF_OUTPUT);
        CONFORMANCE_MADE(buffer);
        std::vector<uint8_t> seen(size, 7);
        CONFORMANCE_OK(lane.copy({host::copy_out(seen.data(), *buffer, 0, size)}));
        EXPECT_EQ(seen, std::vector<uint8_t>(size, 0));
        std::vector<uint8_t> sent(size);
        for (uint8_t& byte : sent)
            byte = static_cast<uint8_t>(random.bits());
        CONFORMANCE_OK(lane.copy({host::copy_in(*buffer, 0, sent.data(), size)}));
        CONFORMANCE_OK(lane.copy({host::copy_out(seen.data(), *buffer, 0, size)}));
        EXPECT_EQ(seen, sent);
    }
}

TEST(Buffer, TakesEveryAlignment) {
    for (uint64_t align = 1; align <= 4096; align *= 2) {
        auto buffer = Target::instance().device().buffer(100, TENON_BUF_INPUT, align);
        CONFORMANCE_MADE(buffer);
    }
}

TEST(Buffer, TooLargeIsOomAndRecovers) {
    if (Target::instance().info().kind == TENON_DEVICE_NULL) {
        GTEST_SKIP() << "a device that computes nothing may promise any memory";
    }
    const auto huge = Target::instance().device().buffer(uint64_t{1} << 60, TENON_BUF_INPUT);
    ASSERT_FALSE(huge.ok());
    EXPECT_EQ(huge.error().code, Code::kOomDevice) << huge.error().message;
    EXPECT_TRUE(Target::instance().device().buffer(4096, TENON_BUF_INPUT).ok());
}

TEST(Copy, RowsFollowTheirPitch) {
    Lane lane;
    CONFORMANCE_OK(lane.open());
    Random random(Target::instance().seed(), 2);
    for (int round = 0; round < 20; ++round) {
        const uint64_t row_bytes = 1 + static_cast<uint64_t>(random.below(70));
        const uint64_t rows = 1 + static_cast<uint64_t>(random.below(9));
        const uint64_t src_pitch = row_bytes + static_cast<uint64_t>(random.below(40));
        const uint64_t dst_pitch = row_bytes + static_cast<uint64_t>(random.below(40));
        const uint64_t src_offset = static_cast<uint64_t>(random.below(50));
        const uint64_t dst_offset = static_cast<uint64_t>(random.below(50));
        const uint64_t src_bytes = src_offset + rows * src_pitch;
        const uint64_t dst_bytes = dst_offset + rows * dst_pitch;
        std::vector<uint8_t> host(src_bytes);
        for (uint8_t& byte : host)
            byte = static_cast<uint8_t>(random.bits());
        std::vector<uint8_t> wanted(dst_bytes, 0);
        for (uint64_t r = 0; r < rows; ++r) {
            std::memcpy(wanted.data() + dst_offset + r * dst_pitch,
                        host.data() + src_offset + r * src_pitch, row_bytes);
        }
        auto src = Target::instance().device().buffer(src_bytes, TENON_BUF_INPUT);
        auto dst = Target::instance().device().buffer(dst_bytes, TENON_BUF_INPUT);
        CONFORMANCE_MADE(src);
        CONFORMANCE_MADE(dst);
        tenon_copy copy{};
        copy.dst = dst->handle();
        copy.src_offset = src_offset;
        copy.dst_offset = dst_offset;
        copy.row_bytes = row_bytes;
        copy.rows = rows;
        copy.src_pitch = src_pitch;
        copy.dst_pitch = dst_pitch;
        if (round % 2 == 0) {
            copy.host_src = host.data();
            CONFORMANCE_OK(lane.copy({copy}));
        } else {
            copy.src = src->handle();
            CONFORMANCE_OK(lane.copy({host::copy_in(*src, 0, host.data(), src_bytes), copy}));
        }
        std::vector<uint8_t> seen(dst_bytes);
        CONFORMANCE_OK(lane.copy({host::copy_out(seen.data(), *dst, 0, dst_bytes)}));
        ASSERT_EQ(seen, wanted) << "round " << round;
    }
}

// More bytes than a backend may be able to hold on their way, in one long row and in many rows.
TEST(Copy, LargeOnesArriveWhole) {
    Lane lane;
    CONFORMANCE_OK(lane.open());
    Random random(Target::instance().seed(), 4);
    constexpr uint64_t kRow = 4099, kRows = 2300, kPitch = 4111, kBytes = kRows * kPitch;
    std::vector<uint8_t> sent(kBytes);
    for (size_t i = 0; i + 8 <= sent.size(); i += 8) {
        const uint64_t bits = random.bits();
        std::memcpy(sent.data() + i, &bits, 8);
    }
    auto buffer = Target::instance().device().buffer(kBytes, TENON_BUF_INPUT);
    auto other = Target::instance().device().buffer(kBytes, TENON_BUF_OUTPUT);
    CONFORMANCE_MADE(buffer);
    CONFORMANCE_MADE(other);
    std::vector<uint8_t> seen(kBytes);
    CONFORMANCE_OK(lane.copy({host::copy_in(*buffer, 0, sent.data(), kBytes),
                              host::copy_within(*other, 0, *buffer, 0, kBytes),
                              host::copy_out(seen.data(), *other, 0, kBytes)}));
    EXPECT_TRUE(seen == sent);
    tenon_copy rows = host::copy_out(seen.data(), *buffer, 0, kRow);
    rows.rows = kRows;
    rows.src_pitch = kPitch;
    rows.dst_pitch = kRow;
    std::fill(seen.begin(), seen.end(), uint8_t{0});
    CONFORMANCE_OK(lane.copy({rows}));
    for (uint64_t r = 0; r < kRows; ++r)
        ASSERT_EQ(std::memcmp(seen.data() + r * kRow, sent.data() + r * kPitch, kRow), 0) << r;
}

TEST(Copy, OutsideOfABufferIsRefused) {
    Lane lane;
    CONFORMANCE_OK(lane.open());
    auto buffer = Target::instance().device().buffer(64, TENON_BUF_INPUT);
    CONFORMANCE_MADE(buffer);
    std::vector<uint8_t> bytes(128);
    const tenon_copy past = host::copy_in(*buffer, 1, bytes.data(), 64);
    EXPECT_FALSE(lane.queue.copy({&past, 1}, {}).ok());
    tenon_copy wraps = host::copy_in(*buffer, 0, bytes.data(), 8);
    wraps.rows = 3;
    wraps.dst_pitch = ~uint64_t{0} - 3;
    EXPECT_FALSE(lane.queue.copy({&wraps, 1}, {}).ok());
    tenon_copy both = host::copy_in(*buffer, 0, bytes.data(), 8);
    both.src = buffer->handle();
    EXPECT_FALSE(lane.queue.copy({&both, 1}, {}).ok());
    tenon_copy neither = host::copy_in(*buffer, 0, nullptr, 8);
    EXPECT_FALSE(lane.queue.copy({&neither, 1}, {}).ok());
}

TEST(Copy, EndsInOrderWithOneQueue) {
    Lane lane;
    CONFORMANCE_OK(lane.open());
    auto buffer = Target::instance().device().buffer(8, TENON_BUF_INPUT);
    CONFORMANCE_MADE(buffer);
    std::vector<uint64_t> sent(50);
    uint64_t seen = 0;
    for (uint64_t i = 0; i < sent.size(); ++i) {
        sent[i] = i + 1;
        const tenon_copy copy = host::copy_in(*buffer, 0, &sent[i], 8);
        CONFORMANCE_OK(lane.queue.copy({&copy, 1}, {}));
    }
    CONFORMANCE_OK(lane.copy({host::copy_out(&seen, *buffer, 0, 8)}));
    EXPECT_EQ(seen, 50u);
}

}  // namespace
