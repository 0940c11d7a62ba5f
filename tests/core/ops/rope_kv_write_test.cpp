#include <tenon/reference/rope_kv_write.h>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using namespace tenon::reference;

struct Pool {
    std::vector<float> data;
    ReferenceKv kv;
    Pool() {
        kv.n_layers = 2;
        kv.n_kv_heads = 1;
        kv.dim_k = 4;
        kv.dim_v = 2;
        kv.block_tokens = 16;
        kv.n_blocks = 3;
        data.assign(static_cast<size_t>(kv.elements()), -7.0f);
        kv.data = data.data();
    }
};

tenon_attr_rope_kv_write attr_of(uint32_t style) {
    return {sizeof(tenon_attr_rope_kv_write), 1, 1, 4, 2, 4, style, 1, 1.0f, 0.0f};
}

TEST(RopeKvWrite, RotatesPairsByStyle) {
    const float q[] = {1, 0, 0, 1};
    const float v[] = {5, 6};
    const int32_t position = 1;
    const int32_t slot = 17;
    const float quarter = std::acos(-1.0f) / 2;
    const float inv_freq[] = {quarter, 0};
    float out[4];
    Pool pool;
    rope_kv_write(q, q, v, &position, &slot, inv_freq, pool.kv, nullptr, nullptr, 1,
                  attr_of(TENON_ROPE_INTERLEAVED), out);
    EXPECT_NEAR(out[0], 0, 1e-6);  // (1, 0) turned by a quarter
    EXPECT_NEAR(out[1], 1, 1e-6);
    EXPECT_NEAR(out[3], 1, 1e-6);  // angle 0
    rope_kv_write(q, q, v, &position, &slot, inv_freq, pool.kv, nullptr, nullptr, 1,
                  attr_of(TENON_ROPE_HALVES), out);
    EXPECT_NEAR(out[0], 0, 1e-6);
    EXPECT_NEAR(out[2], 1, 1e-6);
    EXPECT_NEAR(out[3], 1, 1e-6);
    EXPECT_NEAR(pool.kv.key(1, 17, 0)[2], 1, 1e-6);
    EXPECT_EQ(pool.kv.value(1, 17, 0)[1], 6);
    EXPECT_EQ(pool.kv.value(0, 17, 0)[1], -7) << "another layer was written";
    EXPECT_EQ(pool.kv.key(1, 16, 0)[0], -7) << "another place was written";
}

TEST(RopeKvWrite, NegativeSlotWritesNothing) {
    const float q[] = {1, 2, 3, 4};
    const int32_t position = 0;
    const int32_t slot = -1;
    const float inv_freq[] = {1, 1};
    float out[4];
    Pool pool;
    rope_kv_write(q, q, q, &position, &slot, inv_freq, pool.kv, nullptr, nullptr, 1,
                  attr_of(TENON_ROPE_HALVES), out);
    EXPECT_EQ(out[3], 4);
    for (const float x : pool.data)
        ASSERT_EQ(x, -7);
}

TEST(RopeKvWrite, GainsNormEachHead) {
    const float q[] = {3, 4, 0, 0};
    const float gain[] = {2, 2, 2, 2};
    const int32_t zero = 0;
    const float inv_freq[] = {1, 1};
    float out[4];
    Pool pool;
    rope_kv_write(q, q, q, &zero, &zero, inv_freq, pool.kv, gain, nullptr, 1,
                  attr_of(TENON_ROPE_NONE), out);
    EXPECT_FLOAT_EQ(out[0], 2 * 3 / 2.5f);
    EXPECT_FLOAT_EQ(pool.kv.key(1, 0, 0)[0], 3);
}

}  // namespace
