#include <tenon/reference/paged_attn.h>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace {

using namespace tenon::reference;

// One head of one element; key p is 0, value p is p, so every answer is a mean of positions.
struct Positions {
    std::vector<float> data;
    ReferenceKv kv;
    std::vector<int32_t> table{2, 0};
    Positions() {
        kv.n_layers = kv.n_kv_heads = kv.dim_k = kv.dim_v = 1;
        kv.block_tokens = 16;
        kv.n_blocks = 3;
        data.assign(static_cast<size_t>(kv.elements()), 1e9f);
        kv.data = data.data();
        for (int64_t p = 0; p < 20; ++p) {
            const int64_t slot = int64_t{table[static_cast<size_t>(p / 16)]} * 16 + p % 16;
            *kv.key(0, slot, 0) = 0;
            *kv.value(0, slot, 0) = static_cast<float>(p);
        }
    }
};

tenon_attr_paged_attn attr_of(int32_t window) {
    return {sizeof(tenon_attr_paged_attn), 1, 1, 1, 1, 0, window, 1.0f, 0.0f};
}

TEST(PagedAttn, SeesItsOwnPositionAndThoseBefore) {
    Positions pool;
    const float q[] = {1, 1, 1};
    const int32_t kv_len = 20;
    const int32_t q_start[] = {0, 2};
    float o[] = {-1, -1, -1};
    paged_attn(q, pool.kv, pool.table.data(), &kv_len, q_start, nullptr, 3, 1, 2, attr_of(0), o);
    EXPECT_FLOAT_EQ(o[0], 9.0f);  // mean of 0 .. 18
    EXPECT_FLOAT_EQ(o[1], 9.5f);  // mean of 0 .. 19
    EXPECT_FLOAT_EQ(o[2], 0.0f);  // of no sequence
}

TEST(PagedAttn, WindowCutsTheOldest) {
    Positions pool;
    const float q[] = {1};
    const int32_t kv_len = 20;
    const int32_t q_start[] = {0, 1};
    float o[1];
    paged_attn(q, pool.kv, pool.table.data(), &kv_len, q_start, nullptr, 1, 1, 2, attr_of(3), o);
    EXPECT_FLOAT_EQ(o[0], 18.0f);  // 17, 18, 19
}

TEST(PagedAttn, SinkTakesWeightAndGivesNoValue) {
    Positions pool;
    const float q[] = {1};
    const int32_t kv_len = 3;
    const int32_t q_start[] = {0, 1};
    const float sink = 0;  // as heavy as one position
    float o[1];
    paged_attn(q, pool.kv, pool.table.data(), &kv_len, q_start, &sink, 1, 1, 2, attr_of(0), o);
    EXPECT_FLOAT_EQ(o[0], 3.0f / 4.0f);
}

TEST(PagedAttn, SoftmaxOfTwoScores) {
    Positions pool;
    *pool.kv.key(0, 2 * 16, 0) = 2.0f;
    const float q[] = {1};
    const int32_t kv_len = 2;
    const int32_t q_start[] = {0, 1};
    float o[1];
    paged_attn(q, pool.kv, pool.table.data(), &kv_len, q_start, nullptr, 1, 1, 2, attr_of(0), o);
    EXPECT_NEAR(o[0], 1 / (1 + std::exp(2.0)), 1e-6);
    tenon_attr_paged_attn capped = attr_of(0);
    capped.softcap = 1.0f;
    paged_attn(q, pool.kv, pool.table.data(), &kv_len, q_start, nullptr, 1, 1, 2, capped, o);
    EXPECT_NEAR(o[0], 1 / (1 + std::exp(std::tanh(2.0))), 1e-6);
}

}  // namespace
