#include "backends/common/kv_shape.h"

#include <gtest/gtest.h>

#include <string>

namespace tenon::common {
namespace {

constexpr KvLimits kSmall = {64, 512};

tenon_kv_desc desc() {
    tenon_kv_desc d{};
    d.size = sizeof d;
    d.n_layers = 30;
    d.n_kv_heads = 3;
    d.dim_k = 64;
    d.dim_v = 64;
    d.block_tokens = 16;
    d.dtype = TENON_F16;
    d.n_blocks = 100;
    return d;
}

TEST(KvShape, TypesBlocksAndExtents) {
    EXPECT_TRUE(check_kv_shape(desc(), kSmall).ok());
    tenon_kv_desc d = desc();
    d.dtype = TENON_F64;
    EXPECT_EQ(check_kv_shape(d, kSmall).code(), TENON_UNSUPPORTED);
    for (uint32_t tokens : {0u, 15u, 17u, 64u}) {
        d = desc();
        d.block_tokens = tokens;
        EXPECT_EQ(check_kv_shape(d, kSmall).code(), TENON_INVALID) << tokens;
    }
    for (uint32_t tenon_kv_desc::*extent : {&tenon_kv_desc::n_layers, &tenon_kv_desc::n_kv_heads,
                                            &tenon_kv_desc::dim_k, &tenon_kv_desc::dim_v}) {
        for (uint32_t value : {0u, kKvExtentMax + 1, UINT32_MAX}) {
            d = desc();
            d.*extent = value;
            EXPECT_EQ(check_kv_shape(d, {}).code(), TENON_INVALID) << value;
        }
        d = desc();
        d.*extent = kKvExtentMax;
        EXPECT_TRUE(check_kv_shape(d, {}).ok());
    }
}

TEST(KvShape, LimitsOfABackendAreNamed) {
    tenon_kv_desc d = desc();
    d.n_kv_heads = 65;
    const sdk::Status heads = check_kv_shape(d, kSmall);
    EXPECT_EQ(heads.code(), TENON_UNSUPPORTED);
    EXPECT_STREQ(heads.message(),
                 "65 heads of 64 and 64 elements; at most 64 of 512 are supported.");
    d = desc();
    d.dim_v = 513;
    EXPECT_EQ(check_kv_shape(d, kSmall).code(), TENON_UNSUPPORTED);
    d.dim_v = 512;
    EXPECT_TRUE(check_kv_shape(d, kSmall).ok());
}

TEST(KvShape, PoolIsBlocksTimesLayers) {
    tenon_kv_info info{};
    ASSERT_TRUE(size_kv_pool(desc(), 6144, info).ok());
    EXPECT_EQ(info.block_bytes, 6144u * 30);
    EXPECT_EQ(info.pool_bytes, 6144u * 30 * 100);
}

TEST(KvShape, APoolPast64BitsIsRefusedAndLeavesTheInfo) {
    tenon_kv_desc d = desc();
    d.n_blocks = UINT32_MAX;
    tenon_kv_info info{};
    info.pool_bytes = 7;
    EXPECT_EQ(size_kv_pool(d, uint64_t{1} << 40, info).code(), TENON_INVALID);
    d.n_blocks = 1;
    EXPECT_EQ(size_kv_pool(d, UINT64_MAX / 2, info).code(), TENON_INVALID);
    EXPECT_EQ(info.pool_bytes, 7u);
}

TEST(KvShape, MovesStayInTheirPoolsAndJoinEqualBlocks) {
    tenon_kv_desc a = desc(), b = desc();
    b.n_blocks = 4;
    tenon_kv_move move{};
    move.dst = 99;
    move.src = 3;
    EXPECT_TRUE(check_kv_move(0, move, a, b).ok());
    move.src = 4;
    const sdk::Status outside = check_kv_move(5, move, a, b);
    EXPECT_EQ(outside.code(), TENON_INVALID);
    EXPECT_STREQ(outside.message(), "Move 5 goes from block 4 of 4 to block 99 of 100.");
    move.src = 3;
    move.dst = 100;
    EXPECT_FALSE(check_kv_move(0, move, a, b).ok());
    move.dst = 0;
    // As many bytes, but other blocks.
    b.dim_k = 32;
    b.dim_v = 96;
    const sdk::Status other = check_kv_move(1, move, a, b);
    EXPECT_STREQ(other.message(), "Move 1 joins pools whose blocks differ.");
    b = desc();
    b.dtype = TENON_BF16;
    EXPECT_FALSE(check_kv_move(1, move, a, b).ok());
}

}  // namespace
}  // namespace tenon::common
