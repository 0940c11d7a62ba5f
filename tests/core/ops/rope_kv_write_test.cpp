#include <tenon/reference/rope_kv_write.h>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
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

constexpr float kInf = std::numeric_limits<float>::infinity();

float stored(uint32_t dtype, float x) {
    round_to_kv(dtype, &x, 1, &x);
    return x;
}

// The numbers of the OCP 8-bit formats, one for each code, as their specification spells them.
std::vector<float> numbers_of(int mantissa, int bias, int codes) {
    std::vector<float> numbers;
    for (int code = 0; code < codes; ++code) {
        const int exponent = code >> mantissa;
        const int fraction = code & ((1 << mantissa) - 1);
        numbers.push_back(exponent == 0
                              ? std::ldexp(static_cast<float>(fraction), 1 - bias - mantissa)
                              : std::ldexp(static_cast<float>(fraction + (1 << mantissa)),
                                           exponent - bias - mantissa));
    }
    return numbers;
}

TEST(KvRounding, SmallFloatsGoToTheNearestNumberAndTiesToTheEvenCode) {
    struct Type {
        uint32_t dtype;
        std::vector<float> numbers;
    };
    for (const auto& [dtype, numbers] : {Type{TENON_F8_E4M3, numbers_of(3, 7, 127)},
                                         Type{TENON_F8_E5M2, numbers_of(2, 15, 124)}}) {
        EXPECT_EQ(numbers.back(), dtype == TENON_F8_E4M3 ? 448.0f : 57344.0f);
        for (size_t code = 0; code < numbers.size(); ++code) {
            EXPECT_EQ(stored(dtype, numbers[code]), numbers[code]);
            if (code + 1 == numbers.size()) continue;
            const float low = numbers[code];
            const float high = numbers[code + 1];
            const float middle = (low + high) / 2;
            EXPECT_EQ(stored(dtype, middle), code % 2 == 0 ? low : high) << middle;
            EXPECT_EQ(stored(dtype, std::nextafter(middle, 0.0f)), low);
            EXPECT_EQ(stored(dtype, -std::nextafter(middle, kInf)), -high);
        }
        for (const float beyond : {numbers.back() * 1.5f, 1e30f, kInf}) {
            EXPECT_EQ(stored(dtype, beyond), numbers.back());
            EXPECT_EQ(stored(dtype, -beyond), -numbers.back());
        }
        EXPECT_TRUE(std::isnan(stored(dtype, std::nanf(""))));
    }
}

TEST(KvRounding, HalvesOverflowToInfinity) {
    EXPECT_EQ(stored(TENON_F16, 65519.0f), 65504.0f);
    EXPECT_EQ(stored(TENON_F16, -65520.0f), -kInf);
    EXPECT_EQ(stored(TENON_F16, 1.0f + 0x1p-11f), 1.0f);
    EXPECT_EQ(stored(TENON_F16, 1.0f + 0x3p-11f), 1.0f + 0x1p-9f);
    EXPECT_EQ(stored(TENON_F16, 0x1.8p-24f), 0x1p-23f);
    EXPECT_EQ(stored(TENON_BF16, 1.0f + 0x1p-8f), 1.0f);
    EXPECT_EQ(stored(TENON_BF16, std::numeric_limits<float>::max()), kInf);
    EXPECT_EQ(stored(TENON_F32, 0.1f), 0.1f);
}

TEST(KvRounding, IntegersShareTheScaleOfTheirRow) {
    std::vector<float> row{127.0f, -63.5f, 0.4f, 0.6f, -126.6f, 0.0f};
    round_to_kv(TENON_I8, row.data(), 6, row.data());
    EXPECT_EQ(row, (std::vector<float>{127.0f, -64.0f, 0.0f, 1.0f, -127.0f, 0.0f}));
    std::vector<float> zeros{0.0f, -0.0f};
    round_to_kv(TENON_I8, zeros.data(), 2, zeros.data());
    EXPECT_EQ(zeros, (std::vector<float>{0.0f, 0.0f}));
    for (const float bad : {std::nanf(""), kInf, -kInf}) {
        std::vector<float> broken{1.0f, bad, 2.0f};
        round_to_kv(TENON_I8, broken.data(), 3, broken.data());
        for (const float x : broken)
            EXPECT_TRUE(std::isnan(x));
    }
}

}  // namespace
