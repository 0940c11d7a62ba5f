// What the codes of a format stand for before a scale multiplies them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include <tenon/abi.h>

namespace tenon::quantize {

// Weighted sums over a group whose elements were rounded to levels: w of u, u*u and x*u.
struct LevelSums {
    double u = 0, uu = 0, xu = 0;
};

// The units of the codes of a format, ascending and distinct: q - zero_point, or the codebook.
// Immutable; any thread.
class Levels {
public:
    // Of those codes in `codes` (as stored) whose value lies in first .. last, both signed where
    // the format's codes are. Units that are not finite are left out; nothing left is empty().
    Levels(const tenon_format& format, std::span<const uint32_t> codes, int32_t first,
           int32_t last);

    bool empty() const noexcept { return units_.empty(); }
    size_t size() const noexcept { return units_.size(); }
    float lowest() const noexcept { return units_.front(); }
    float highest() const noexcept { return units_.back(); }
    // Distance of the two outermost levels at the low or the high end; 1 where there is one level.
    float low_gap() const noexcept;
    float high_gap() const noexcept;
    float unit(uint32_t level) const noexcept { return units_[level]; }
    uint32_t code(uint32_t level) const noexcept { return codes_[level]; }

    // The level nearest to `value`; of two equally near ones, that of the even code where levels
    // are one apart, else that nearer to zero. NaN gives some level.
    uint32_t nearest(float value) const noexcept;
    // nearest() of x[i] * inverse + offset for i in 0 .. n, as units.
    void round(const float* x, uint32_t n, float inverse, float offset,
               float* units) const noexcept;
    LevelSums sums(const float* x, const float* weights, uint32_t n, float inverse,
                   float offset) const noexcept;
    // Sum of weights * (x - scale * level - min)^2 with every level the nearest one.
    double error(const float* x, const float* weights, uint32_t n, float scale,
                 float min) const noexcept;

private:
    template <class Use>
    void for_each(const float* x, uint32_t n, float inverse, float offset, Use use) const noexcept;
    float nearest_unit(float value) const noexcept { return units_.data()[nearest_listed(value)]; }
    uint32_t nearest_listed(float value) const noexcept;

    std::vector<float> units_;
    std::vector<uint32_t> codes_;
    std::vector<float> limits_;  // limits_[l] parts level l from l + 1: above it the value is l + 1
    std::vector<uint32_t> cells_;  // of the span of limits_: the lowest level a cell may have
    float cell_start_ = 0, cells_per_unit_ = 0;
    bool is_even_ = false;  // whole numbers one apart
};

}  // namespace tenon::quantize
