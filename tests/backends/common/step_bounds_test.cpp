#include "backends/common/step_bounds.h"

#include <gtest/gtest.h>

#include "tests/backends/common/test_program.h"

namespace tenon::common {
namespace {

struct BoundsTest : testing::Test {
    BoundsTest() {
        how.size = sizeof how;
        how.n_buckets = 2;
        how.buckets = buckets;
    }
    int32_t read() {
        bounds = {};
        return read_step_bounds(p.view(), how, bounds).code();
    }

    int64_t first = 1, second = 1000;
    tenon_bucket buckets[2] = {{&first}, {&second}};
    tenon_prepare how{};
    TestProgram p;
    StepBounds bounds;
};

TEST_F(BoundsTest, BucketsAreRowsOfSymbols) {
    p.slots = 5;
    ASSERT_EQ(read(), TENON_OK);
    EXPECT_EQ(bounds.n_slots, 5u);
    EXPECT_EQ(bounds.n_symbols, 1u);
    EXPECT_EQ(bounds.n_buckets, 2u);
    EXPECT_EQ(bounds.symbols_max(0)[0], 1);
    EXPECT_EQ(bounds.symbols_max(1)[0], 1000);
    EXPECT_FALSE(bounds.measured);
    how.flags = TENON_PREPARE_MEASURE;
    ASSERT_EQ(read(), TENON_OK);
    EXPECT_TRUE(bounds.measured);
}

TEST_F(BoundsTest, SymbolsStayLegal) {
    second = 1001;
    EXPECT_EQ(read(), TENON_INVALID);
    second = -1;
    EXPECT_EQ(read(), TENON_INVALID);
    p.symbol.max = INT64_MAX;
    second = kSymbolMax + 1;
    EXPECT_EQ(read(), TENON_INVALID);
    second = kSymbolMax;
    EXPECT_EQ(read(), TENON_OK);
    buckets[1].max = nullptr;
    EXPECT_EQ(read(), TENON_INVALID);
}

TEST_F(BoundsTest, FixedStorageHasItsLimits) {
    p.slots = kSlotsMax + 1;
    EXPECT_EQ(read(), TENON_UNSUPPORTED);
    p.slots = kSlotsMax;
    EXPECT_EQ(read(), TENON_OK);
    tenon_program program = p.view();
    program.n_symbols = kSymbolsMax + 1;
    EXPECT_EQ(read_step_bounds(program, how, bounds).code(), TENON_UNSUPPORTED);
}

TEST_F(BoundsTest, BytesOfAValue) {
    const uint32_t id = p.value(TENON_VALUE_OUTPUT, {-1, 3, 5}, TENON_I64);
    const BoundValue value = bound_value(p.values[id]);
    uint64_t bytes = 0;
    int64_t symbols[1] = {7};
    EXPECT_TRUE(value_bytes(value, symbols, &bytes));
    EXPECT_EQ(bytes, 7u * 3 * 5 * 8);
    symbols[0] = 0;
    EXPECT_TRUE(value_bytes(value, symbols, &bytes));
    EXPECT_EQ(bytes, 0u);
    symbols[0] = -1;
    EXPECT_FALSE(value_bytes(value, symbols, &bytes));
    symbols[0] = int64_t{1} << 62;
    EXPECT_FALSE(value_bytes(value, symbols, &bytes));
}

}  // namespace
}  // namespace tenon::common
