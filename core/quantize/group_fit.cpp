#include "core/quantize/group_fit.h"

#include <algorithm>
#include <cmath>

namespace tenon::quantize {

namespace {

// Where the outermost element may come to lie, in gaps of the outermost levels: beyond the level
// by as much, which cuts it off, or inside.
constexpr float kReach = 0.9f;
constexpr int kStepsOneSided = 13;
constexpr int kStepsTwoSided = 11;
constexpr int kPolish = 3;
constexpr double kSingular = 1e-6;  // share of a determinant that rounding alone may leave

bool usable(float value) noexcept { return std::isfinite(value) && value != 0; }

}  // namespace

GroupFit fit_scale(const Levels& levels, const float* x, const float* weights, uint32_t n,
                   const FitBounds& bounds) {
    float lowest = 0, highest = 0;
    for (uint32_t i = 0; i < n; ++i) {
        lowest = x[i] < lowest ? x[i] : lowest;
        highest = x[i] > highest ? x[i] : highest;
    }
    if (lowest == 0 && highest == 0) return {};
    float best_scale = 0;
    double best_gain = 0;
    // What the squared error loses by a scale, when the scale is then the best for those levels.
    const auto attempt = [&](float scale) {
        if (!usable(scale) || (scale < 0 && !bounds.scale_signed)) return;
        const float inverse = 1 / scale;
        if (!usable(inverse)) return;
        const LevelSums sums = levels.sums(x, weights, n, inverse, 0);
        if (!(sums.uu > 0)) return;
        const auto refined = static_cast<float>(sums.xu / sums.uu);
        if (refined < 0 && !bounds.scale_signed) return;
        const double gain = sums.xu * sums.xu / sums.uu;
        if (gain > best_gain && usable(refined)) {
            best_gain = gain;
            best_scale = refined;
        }
    };
    const float peak = -lowest > highest ? lowest : highest;
    const auto around = [&](float element, float level, float gap) {
        if (level == 0) return;
        for (int step = 0; step < kStepsOneSided; ++step) {
            const float shift =
                kReach * gap * (2.0f * static_cast<float>(step) / (kStepsOneSided - 1) - 1.0f);
            const float reached = level + (level < 0 ? -shift : shift);
            if (reached * level > 0) attempt(element / reached);
        }
    };
    if (bounds.scale_signed) {
        around(peak, levels.lowest(), levels.low_gap());
        around(peak, levels.highest(), levels.high_gap());
    } else {
        if (lowest < 0) around(lowest, levels.lowest(), levels.low_gap());
        if (highest > 0) around(highest, levels.highest(), levels.high_gap());
    }
    for (int round = 0; round < kPolish; ++round) {
        const double before = best_gain;
        attempt(best_scale);
        if (best_gain <= before) break;
    }
    return {best_scale, 0};
}

GroupFit fit_scale_and_min(const Levels& levels, const float* x, const float* weights, uint32_t n,
                           const FitBounds& bounds) {
    float lowest = x[0], highest = x[0];
    double sum_w = 0, sum_x = 0, sum_xx = 0;
    for (uint32_t i = 0; i < n; ++i) {
        lowest = x[i] < lowest ? x[i] : lowest;
        highest = x[i] > highest ? x[i] : highest;
        const double weighted = static_cast<double>(weights[i]) * x[i];
        sum_w += weights[i];
        sum_x += weighted;
        sum_xx += weighted * x[i];
    }
    // What the lowest level may stand for.
    float base = lowest;
    if (bounds.min_sign != 0) {
        // The min belongs to unit 0; levels that reach below zero need less of it.
        const float zero_share = levels.lowest() < 0 && levels.highest() > levels.lowest()
                                     ? levels.lowest() / (levels.highest() - levels.lowest())
                                     : 0;
        const float min = base - zero_share * (highest - base);
        if (min * static_cast<float>(bounds.min_sign) < 0) base -= min;
    }
    const float span = levels.highest() - levels.lowest();
    if (!(highest > base) || !(span > 0)) {
        // One value only: the min alone holds it if it may, else a scale does.
        if (bounds.min_sign == 0 || lowest * static_cast<float>(bounds.min_sign) >= 0)
            return {0, lowest};
        return fit_scale(levels, x, weights, n, bounds);
    }
    GroupFit best;
    double best_error = sum_xx;
    const auto attempt = [&](float scale, float min) {
        if (!usable(scale) || !std::isfinite(min) || (scale < 0 && !bounds.scale_signed)) return;
        const float inverse = 1 / scale;
        if (!usable(inverse)) return;
        const LevelSums sums = levels.sums(x, weights, n, inverse, -min * inverse);
        const double determinant = sum_w * sums.uu - sums.u * sums.u;
        double new_scale, new_min;
        if (determinant > kSingular * sum_w * sums.uu) {
            new_scale = (sum_w * sums.xu - sum_x * sums.u) / determinant;
            new_min = (sums.uu * sum_x - sums.u * sums.xu) / determinant;
        } else {  // one level for all elements
            new_min = static_cast<double>(min);
            new_scale = sums.uu > 0 ? (sums.xu - new_min * sums.u) / sums.uu : 0;
        }
        if (new_min * bounds.min_sign < 0) {
            new_min = 0;
            new_scale = sums.uu > 0 ? sums.xu / sums.uu : 0;
        }
        if (new_scale < 0 && !bounds.scale_signed) return;
        const double error = sum_xx - 2 * new_scale * sums.xu - 2 * new_min * sum_x +
                             new_scale * new_scale * sums.uu + 2 * new_scale * new_min * sums.u +
                             new_min * new_min * sum_w;
        if (error < best_error) {
            best_error = error;
            best = {static_cast<float>(new_scale), static_cast<float>(new_min)};
        }
    };
    for (int step = 0; step < kStepsTwoSided; ++step) {
        const float shift = kReach * levels.high_gap() *
                            (2.0f * static_cast<float>(step) / (kStepsTwoSided - 1) - 1.0f);
        if (span + shift <= 0) continue;
        const float scale = (highest - base) / (span + shift);
        attempt(scale, base - scale * levels.lowest());
    }
    for (int round = 0; round < kPolish; ++round) {
        const double before = best_error;
        attempt(best.scale, best.min);
        if (best_error >= before) break;
    }
    return best;
}

}  // namespace tenon::quantize
