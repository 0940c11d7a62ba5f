#include "core/quantize/group_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/formats/format_list.h"
#include "core/quantize/block_layout.h"

namespace tenon::quantize {
namespace {

Levels levels_of(const char* name) {
    const tenon_format& format = formats::find_format(name)->format;
    return Levels(format, BlockLayout::create(format)->codes().values(), -65536, 65536);
}

std::vector<float> draw(uint64_t seed, size_t n) {
    std::mt19937_64 random(seed);
    std::normal_distribution<float> normal(0, 0.05f);
    std::vector<float> out(n);
    for (float& value : out)
        value = normal(random);
    return out;
}

TEST(GroupFit, FindsTheScaleThatWasUsed) {
    for (const char* name : {"q4_0", "q6_k", "iq4_nl"}) {
        const Levels levels = levels_of(name);
        std::mt19937_64 random(5);
        for (const float scale : {0.03f, -0.03f, 1e-5f, 700.0f}) {
            std::vector<float> x(32), weights(32, 1.0f);
            for (float& value : x)
                value = scale * levels.unit(static_cast<uint32_t>(random() % levels.size()));
            x[0] = scale * levels.lowest();
            const GroupFit fit = fit_scale(levels, x.data(), weights.data(), 32, {});
            EXPECT_NEAR(fit.scale / scale, 1, 1e-4) << name << " " << scale;
        }
    }
}

TEST(GroupFit, IsNotFarFromAnExhaustiveSearch) {
    const Levels levels = levels_of("q4_0");
    double found = 0, best_of_all = 0;
    for (uint64_t seed = 0; seed < 50; ++seed) {
        const std::vector<float> x = draw(seed, 32), weights(32, 1.0f);
        const GroupFit fit = fit_scale(levels, x.data(), weights.data(), 32, {});
        found += levels.error(x.data(), weights.data(), 32, fit.scale, 0);
        double best = 1e30;
        for (float scale = -0.05f; scale < 0.05f; scale += 1e-5f)
            best = std::min(best, levels.error(x.data(), weights.data(), 32, scale, 0));
        best_of_all += best;
    }
    EXPECT_LE(found, 1.05 * best_of_all);
}

TEST(GroupFit, KeepsItsBounds) {
    const Levels codes = levels_of("q4_k");
    for (uint64_t seed = 0; seed < 200; ++seed) {
        std::vector<float> x = draw(seed, 32), weights(32, 1.0f);
        const float shift = 0.1f * static_cast<float>(seed % 5) - 0.2f;
        for (float& value : x)
            value += shift;
        const GroupFit below = fit_scale_and_min(codes, x.data(), weights.data(), 32, {false, -1});
        EXPECT_GE(below.scale, 0);
        EXPECT_LE(below.min, 0);
        const GroupFit above = fit_scale_and_min(codes, x.data(), weights.data(), 32, {false, 1});
        EXPECT_GE(above.min, 0);
        const GroupFit any = fit_scale_and_min(codes, x.data(), weights.data(), 32, {true, 0});
        EXPECT_LE(codes.error(x.data(), weights.data(), 32, any.scale, any.min),
                  codes.error(x.data(), weights.data(), 32, below.scale, below.min) * 1.3 + 1e-9);
    }
}

}  // namespace
}  // namespace tenon::quantize
