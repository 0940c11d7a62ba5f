#include "core/quantize/levels.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tenon::quantize {

namespace {

// Adding and taking away 1.5 * 2^23 rounds a float below 2^22 to a whole number, ties to even.
constexpr float kRoundingShift = 12582912.0f;
constexpr uint32_t kLanes = 8;
constexpr uint32_t kCells = 1024;

}  // namespace

Levels::Levels(const tenon_format& format, std::span<const uint32_t> codes, int32_t first,
               int32_t last) {
    struct Level {
        float unit;
        uint32_t code;
    };
    std::vector<Level> all;
    for (const uint32_t code : codes) {
        const int32_t value = format.packing == TENON_PACK_BYTES ? static_cast<int8_t>(code)
                                                                 : static_cast<int32_t>(code);
        if (value < first || value > last) continue;
        const float unit = format.cls == TENON_FORMAT_LUT_GROUP
                               ? format.lut[code]
                               : static_cast<float>(value - format.zero_point);
        if (std::isfinite(unit)) all.push_back({unit, code});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const Level& a, const Level& b) { return a.unit < b.unit; });
    for (const Level& level : all) {
        if (!units_.empty() && units_.back() == level.unit) continue;
        units_.push_back(level.unit);
        codes_.push_back(level.code);
    }
    if (units_.empty()) return;
    is_even_ = std::fabs(units_.front()) < 1 << 20 && std::fabs(units_.back()) < 1 << 20 &&
               units_.front() == std::trunc(units_.front());
    for (size_t l = 1; l < units_.size(); ++l)
        is_even_ = is_even_ && units_[l] - units_[l - 1] == 1.0f;
    if (is_even_ || units_.size() < 2) return;
    for (size_t l = 0; l + 1 < units_.size(); ++l) {
        const float limit = units_[l] + (units_[l + 1] - units_[l]) / 2;
        // On the limit itself the lower level is taken; left of zero that is to be the upper one.
        limits_.push_back(limit < 0 ? std::nextafter(limit, -std::numeric_limits<float>::infinity())
                                    : limit);
    }
    cell_start_ = limits_.front();
    const float span = limits_.back() - cell_start_;
    cells_per_unit_ = span > 0 ? (kCells - 2) / span : 0;
    if (!std::isfinite(cells_per_unit_)) cells_per_unit_ = 0;
    cells_.assign(kCells, 0);
    for (size_t l = 0; l < limits_.size(); ++l) {
        // Level l + 1 may be taken from the cell after its limit's; one cell of slack covers the
        // rounding of a value's cell.
        const auto cell = static_cast<uint32_t>((limits_[l] - cell_start_) * cells_per_unit_);
        for (uint32_t c = cell + 2; c < kCells; ++c)
            cells_[c] = static_cast<uint32_t>(l + 1);
    }
}

float Levels::low_gap() const noexcept { return units_.size() < 2 ? 1.0f : units_[1] - units_[0]; }

float Levels::high_gap() const noexcept {
    return units_.size() < 2 ? 1.0f : units_.back() - units_[units_.size() - 2];
}

uint32_t Levels::nearest_listed(float value) const noexcept {
    if (limits_.empty()) return 0;
    float at = (value - cell_start_) * cells_per_unit_;
    at = at > 0 ? at : 0;
    at = at < kCells - 1 ? at : kCells - 1;
    const float* limits = limits_.data();
    const auto last = static_cast<uint32_t>(limits_.size());
    uint32_t level = cells_.data()[static_cast<uint32_t>(at)];
    while (level < last && value > limits[level])
        ++level;
    return level;
}

uint32_t Levels::nearest(float value) const noexcept {
    if (!is_even_) return nearest_listed(value);
    value = value > lowest() ? value : lowest();
    value = value < highest() ? value : highest();
    const float whole = (value + kRoundingShift) - kRoundingShift;
    return static_cast<uint32_t>(whole - lowest());
}

template <class Use>
void Levels::for_each(const float* x, uint32_t n, float inverse, float offset,
                      Use use) const noexcept {
    if (is_even_) {
        const float low = lowest(), high = highest();
        const auto unit = [=](float value) {
            float v = value * inverse + offset;
            v = v > low ? v : low;
            v = v < high ? v : high;
            return (v + kRoundingShift) - kRoundingShift;
        };
        uint32_t i = 0;
        for (; i + kLanes <= n; i += kLanes)
            for (uint32_t lane = 0; lane < kLanes; ++lane)
                use(i + lane, lane, unit(x[i + lane]));
        for (; i < n; ++i)
            use(i, 0, unit(x[i]));
    } else {
        for (uint32_t i = 0; i < n; ++i)
            use(i, i % kLanes, nearest_unit(x[i] * inverse + offset));
    }
}

void Levels::round(const float* x, uint32_t n, float inverse, float offset,
                   float* units) const noexcept {
    for_each(x, n, inverse, offset, [=](uint32_t i, uint32_t, float unit) { units[i] = unit; });
}

LevelSums Levels::sums(const float* x, const float* weights, uint32_t n, float inverse,
                       float offset) const noexcept {
    float u[kLanes] = {}, uu[kLanes] = {}, xu[kLanes] = {};
    for_each(x, n, inverse, offset, [&](uint32_t i, uint32_t lane, float unit) {
        const float weighted = weights[i] * unit;
        u[lane] += weighted;
        uu[lane] += weighted * unit;
        xu[lane] += weighted * x[i];
    });
    LevelSums out;
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
        out.u += u[lane];
        out.uu += uu[lane];
        out.xu += xu[lane];
    }
    return out;
}

double Levels::error(const float* x, const float* weights, uint32_t n, float scale,
                     float min) const noexcept {
    const float inverse = scale != 0 ? 1 / scale : 0;
    float sum[kLanes] = {};
    for_each(x, n, inverse, -min * inverse, [&](uint32_t i, uint32_t lane, float unit) {
        const float miss = x[i] - (scale * unit + min);
        sum[lane] += weights[i] * (miss * miss);
    });
    double out = 0;
    for (const float lane : sum)
        out += lane;
    return out;
}

}  // namespace tenon::quantize
