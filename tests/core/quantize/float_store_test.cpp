#include "core/quantize/float_store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include <tenon/abi.h>
#include <tenon/reference/dequant.h>

namespace tenon::quantize {
namespace {

float float_of(uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

TEST(FloatStore, EveryF16AndBf16ComesBack) {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const float half = reference::float_from_f16(static_cast<uint16_t>(bits));
        if (!std::isnan(half)) {
            ASSERT_EQ(f16_from_float(half), bits);
        }
        const float brain = reference::float_from_bf16(static_cast<uint16_t>(bits));
        if (!std::isnan(brain)) {
            ASSERT_EQ(bf16_from_float(brain), bits);
        }
    }
    EXPECT_TRUE(std::isnan(reference::float_from_f16(f16_from_float(float_of(0x7f800001)))));
    EXPECT_TRUE(std::isnan(reference::float_from_bf16(bf16_from_float(float_of(0xff800001)))));
}

TEST(FloatStore, BetweenTwoNeighboursTheNearerOneAndOfTwoTheEvenOne) {
    for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
        const float low = reference::float_from_f16(static_cast<uint16_t>(bits));
        const float high = reference::float_from_f16(static_cast<uint16_t>(bits + 1));
        const float middle = low + (high - low) / 2;  // exact in binary32
        const uint32_t even = bits + bits % 2;
        ASSERT_EQ(f16_from_float(middle), even) << bits;
        ASSERT_EQ(f16_from_float(std::nextafter(middle, low)), bits);
        ASSERT_EQ(f16_from_float(std::nextafter(middle, high)), bits + 1);
        ASSERT_EQ(f16_from_float(-middle), even | 0x8000u);
    }
    EXPECT_EQ(f16_from_float(65519.996f), 0x7bff);
    EXPECT_EQ(f16_from_float(65520.0f), 0x7c00);
    for (uint32_t bits = 0; bits < 0x7f7f; bits += 3) {
        const float low = reference::float_from_bf16(static_cast<uint16_t>(bits));
        const float middle = float_of((bits << 16) + 0x8000u);
        ASSERT_EQ(bf16_from_float(middle), bits + bits % 2) << bits;
        ASSERT_EQ(bf16_from_float(std::nextafter(middle, low)), bits);
    }
}

TEST(FloatStore, AScaleIsWhatTheReferenceReads) {
    std::mt19937 random(3);
    for (int i = 0; i < 20000; ++i) {
        const float value = float_of(static_cast<uint32_t>(random()));
        if (!std::isfinite(value)) continue;
        for (const uint32_t dtype : {TENON_F32, TENON_F16, TENON_BF16, TENON_E8M0}) {
            const float near = nearest_scale(dtype, value);
            ASSERT_TRUE(std::isfinite(near));
            std::byte bytes[8] = {};
            store_scale(dtype, bytes, 1, near);
            const float read =
                reference::load_float(dtype, reinterpret_cast<const unsigned char*>(bytes), 1);
            ASSERT_EQ(read, near) << dtype << " " << value;
            if (dtype == TENON_E8M0 && std::fabs(value) > 1e-37f && std::fabs(value) < 1e38f) {
                ASSERT_TRUE(near >= std::fabs(value) && near < 2 * std::fabs(value)) << value;
            }
        }
    }
    EXPECT_EQ(nearest_scale(TENON_F16, 1e9f), 65504.0f);
    EXPECT_EQ(nearest_scale(TENON_E8M0, 0.25f), 0.25f);
}

}  // namespace
}  // namespace tenon::quantize
