#include "backends/common/bind_check.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/backends/common/test_program.h"

namespace tenon::common {
namespace {

struct TestBuffer {
    uint64_t bytes;
};

uint64_t bytes_of(tenon_buffer* buffer) { return reinterpret_cast<TestBuffer*>(buffer)->bytes; }

// Slot 0: [T,4] floats; slot 1: [T] floats that may be absent. One bucket of 10 tokens.
struct BindTest : testing::Test {
    BindTest() {
        for (std::initializer_list<int64_t> extents : {std::initializer_list<int64_t>{-1, 4}, {-1}})
            bounds.bound.push_back(bound_value(p.values[p.value(TENON_VALUE_INPUT, extents)]));
        bounds.bound[1].optional = true;
        bounds.n_slots = 2;
        bounds.n_symbols = 1;
        bounds.n_buckets = 1;
        bounds.bucket_symbols = {10};
        bind.size = sizeof bind;
        bind.n_slots = 2;
        bind.buffers = buffers;
        bind.offsets = offsets;
        bind.symbols = symbols;
    }
    std::string refusal(int32_t code = TENON_INVALID, uint64_t align = 1) {
        const sdk::Status status = check_bind(bounds, bind, bytes_of, align);
        EXPECT_EQ(status.code(), code);
        return status.message();
    }

    TestBuffer first{160 + 64}, second{40};
    tenon_buffer* buffers[2] = {reinterpret_cast<tenon_buffer*>(&first),
                                reinterpret_cast<tenon_buffer*>(&second)};
    uint64_t offsets[2] = {64, 0};
    int64_t symbols[1] = {10};
    tenon_bind bind{};
    StepBounds bounds;
    TestProgram p;
};

TEST_F(BindTest, WhatFitsPasses) {
    EXPECT_EQ(refusal(TENON_OK, 64), "");
    bind.offsets = nullptr;
    EXPECT_EQ(refusal(TENON_OK), "");
    symbols[0] = 0;
    EXPECT_EQ(refusal(TENON_OK), "");
}

TEST_F(BindTest, AMeasuredProgramRunsNothing) {
    bounds.measured = true;
    EXPECT_EQ(refusal(), "The program was prepared with PREPARE_MEASURE.");
}

TEST_F(BindTest, SlotsSymbolsAndBuckets) {
    bind.n_slots = 1;
    EXPECT_EQ(refusal(), "1 buffers are bound, the program has 2 slots.");
    bind.n_slots = 2;
    bind.buffers = nullptr;
    EXPECT_EQ(refusal(), "2 buffers are bound, the program has 2 slots.");
    bind.buffers = buffers;
    bind.symbols = nullptr;
    EXPECT_EQ(refusal(), "tenon_bind.symbols is null.");
    bind.symbols = symbols;
    symbols[0] = 11;
    EXPECT_EQ(refusal(), "Symbol 0 is 11, the bucket allows 0 to 10.");
    symbols[0] = -1;
    EXPECT_EQ(refusal(), "Symbol 0 is -1, the bucket allows 0 to 10.");
    symbols[0] = 10;
    for (uint32_t bucket : {1u, UINT32_MAX}) {
        bind.bucket = bucket;
        EXPECT_EQ(refusal(), "Bucket " + std::to_string(bucket) + " was not prepared.");
    }
}

TEST_F(BindTest, BucketsAreCountedWithoutSymbolsToo) {
    bounds.n_symbols = 0;
    bounds.bucket_symbols.clear();
    bounds.bound.clear();
    bind.bucket = 1;
    EXPECT_EQ(refusal(), "Bucket 1 was not prepared.");
}

TEST_F(BindTest, ValuesStayInTheirBuffers) {
    offsets[0] = 68;
    EXPECT_EQ(refusal(), "The 160 bytes of slot 0 do not fit its buffer.");
    symbols[0] = 9;
    EXPECT_EQ(refusal(TENON_OK), "");
    offsets[0] = UINT64_MAX - 3;
    EXPECT_EQ(refusal(), "The 144 bytes of slot 0 do not fit its buffer.");
    buffers[0] = nullptr;
    offsets[0] = 0;
    EXPECT_EQ(refusal(), "The 144 bytes of slot 0 do not fit its buffer.");
}

TEST_F(BindTest, AnAbsentOptionalOneIsNotLookedAt) {
    buffers[1] = nullptr;
    offsets[1] = 7;
    EXPECT_EQ(refusal(TENON_OK), "");
}

TEST_F(BindTest, OffsetsAreAligned) {
    offsets[0] = 62;
    EXPECT_EQ(refusal(), "Slot 0 is bound at offset 62, off its alignment.");
    offsets[0] = 32;
    EXPECT_EQ(refusal(TENON_UNSUPPORTED, 64),
              "Slot 0 is bound at offset 32; this device wants multiples of 64.");
}

}  // namespace
}  // namespace tenon::common
