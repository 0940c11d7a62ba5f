#include "backends/common/queued_work.h"

#include <gtest/gtest.h>

namespace tenon::common {
namespace {

TEST(QueuedWork, PointsFitTheirRoom) {
    tenon_sync sync{};
    sync.n_waits = sync.n_signals = kPointsMax;
    EXPECT_TRUE(check_points(sync).ok());
    sync.n_signals = kPointsMax + 1;
    EXPECT_EQ(check_points(sync).code(), TENON_UNSUPPORTED);
    sync.n_signals = 0;
    sync.n_waits = UINT32_MAX;
    EXPECT_EQ(check_points(sync).code(), TENON_UNSUPPORTED);
}

TEST(QueuedWork, PointsAreCopied) {
    tenon_point waits[2] = {{nullptr, 3}, {nullptr, 4}};
    tenon_point signals[1] = {{nullptr, 9}};
    const tenon_sync sync = {sizeof(tenon_sync), 2, 1, waits, signals};
    QueuedWork work;
    work.take_points(sync);
    waits[1].value = signals[0].value = 0;
    EXPECT_EQ(work.n_waits, 2u);
    EXPECT_EQ(work.waits[1].value, 4u);
    EXPECT_EQ(work.n_signals, 1u);
    EXPECT_EQ(work.signals[0].value, 9u);
}

TEST(QueuedWork, AStepOutlivesTheCallersArrays) {
    StepBounds bounds;
    bounds.n_slots = 2;
    bounds.n_symbols = 1;
    int memory[2] = {};
    tenon_buffer* buffers[2] = {reinterpret_cast<tenon_buffer*>(&memory[0]),
                                reinterpret_cast<tenon_buffer*>(&memory[1])};
    uint64_t offsets[2] = {64, 128};
    int64_t symbols[1] = {7};
    const uint32_t cancel = 0;
    uint64_t progress = 0;
    tenon_bind bind{};
    bind.bucket = 3;
    bind.n_slots = 2;
    bind.buffers = buffers;
    bind.offsets = offsets;
    bind.symbols = symbols;
    bind.cancel = &cancel;
    bind.progress = &progress;
    QueuedWork work;
    work.take_bind(bounds, bind);
    buffers[1] = nullptr;
    offsets[1] = 0;
    symbols[0] = 0;
    EXPECT_EQ(work.kind, QueuedWork::Kind::kStep);
    EXPECT_EQ(work.bind.bucket, 3u);
    EXPECT_EQ(work.bind.buffers[1], reinterpret_cast<tenon_buffer*>(&memory[1]));
    EXPECT_EQ(work.bind.offsets[1], 128u);
    EXPECT_EQ(work.bind.symbols[0], 7);
    EXPECT_EQ(work.bind.cancel, &cancel);
    EXPECT_EQ(work.bind.progress, &progress);
    bind.offsets = nullptr;
    work.take_bind(bounds, bind);
    EXPECT_EQ(work.bind.offsets[0], 0u);
    EXPECT_EQ(work.bind.offsets[1], 0u);
}

}  // namespace
}  // namespace tenon::common
