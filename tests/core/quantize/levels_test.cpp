#include "core/quantize/levels.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/formats/format_list.h"
#include "core/quantize/block_layout.h"
#include "tests/core/quantize/random_format.h"

namespace tenon::quantize {
namespace {

Levels levels_of(const tenon_format& format, int32_t first = -65536, int32_t last = 65536) {
    const Result<BlockLayout> layout = BlockLayout::create(format);
    EXPECT_TRUE(layout.ok());
    return Levels(format, layout->codes().values(), first, last);
}

TEST(Levels, AreTheUnitsOfTheCodes) {
    const Levels q4 = levels_of(formats::find_format("q4_0")->format);
    EXPECT_EQ(q4.size(), 16u);
    EXPECT_EQ(q4.lowest(), -8);
    EXPECT_EQ(q4.highest(), 7);
    const Levels q8 = levels_of(formats::find_format("q8_0")->format, -127, 127);
    EXPECT_EQ(q8.lowest(), -127);
    EXPECT_EQ(q8.code(0), 0x81u);  // two's complement
    const Levels iq4 = levels_of(formats::find_format("iq4_nl")->format);
    EXPECT_EQ(iq4.low_gap(), 23);
    EXPECT_EQ(iq4.high_gap(), 24);
    // Plus and minus zero are one level.
    EXPECT_EQ(levels_of(formats::find_format("mxfp4")->format).size(), 15u);
    EXPECT_EQ(levels_of(formats::find_format("tq2_0")->format, 0, 2).size(), 3u);
}

TEST(Levels, NoOtherLevelIsNearer) {
    for (uint64_t seed = 0; seed < 300; ++seed) {
        const auto made = random_format(seed);
        const Levels levels = levels_of(made->format);
        std::mt19937_64 random(seed);
        std::uniform_real_distribution<float> draw(1.3f * levels.lowest() - 1,
                                                   1.3f * levels.highest() + 1);
        std::vector<float> x(200), units(200), weights(200, 1.0f);
        for (float& value : x)
            value = draw(random);
        levels.round(x.data(), 200, 1, 0, units.data());
        double error = 0;
        for (size_t i = 0; i < x.size(); ++i) {
            const float nearest = levels.unit(levels.nearest(x[i]));
            ASSERT_EQ(units[i], nearest);
            for (uint32_t l = 0; l < levels.size(); ++l)
                ASSERT_LE(std::fabs(nearest - x[i]),
                          std::fabs(levels.unit(l) - x[i]) * 1.00001f + 1e-6f)
                    << seed << " " << x[i];
            error += (x[i] - nearest) * (x[i] - nearest);
        }
        EXPECT_NEAR(levels.error(x.data(), weights.data(), 200, 1, 0), error, 1e-4 * error + 1e-6);
    }
}

TEST(Levels, OfTwoEquallyNearOnesThatNearerToZero) {
    const Levels levels = levels_of(formats::find_format("mxfp4")->format);
    EXPECT_EQ(levels.unit(levels.nearest(2.5f)), 2);
    EXPECT_EQ(levels.unit(levels.nearest(-2.5f)), -2);
    EXPECT_EQ(levels.unit(levels.nearest(-0.25f)), 0);
    EXPECT_EQ(levels.unit(levels.nearest(1e30f)), 6);
    EXPECT_EQ(levels.unit(levels.nearest(-INFINITY)), -6);
}

}  // namespace
}  // namespace tenon::quantize
