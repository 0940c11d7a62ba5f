// Random numbers and comparisons for the tests of shaders.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

namespace tenon::shaders {

inline std::vector<float> normals(size_t count, uint32_t seed, float deviation = 1.0f) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> draw(0.0f, deviation);
    std::vector<float> numbers(count);
    for (float& number : numbers)
        number = draw(engine);
    return numbers;
}

// Within `relative` of the wanted number, or `absolute` of it; NaN wants NaN.
inline ::testing::AssertionResult near(const std::vector<float>& wanted,
                                       const std::vector<float>& got, double relative,
                                       double absolute) {
    if (wanted.size() != got.size()) {
        return ::testing::AssertionFailure() << got.size() << " numbers for " << wanted.size();
    }
    for (size_t i = 0; i < got.size(); ++i) {
        if (std::isnan(wanted[i]) && std::isnan(got[i])) continue;
        if (wanted[i] == got[i]) continue;
        const double error = std::fabs(static_cast<double>(got[i]) - wanted[i]);
        if (error <= std::max(absolute, relative * std::fabs(wanted[i]))) continue;
        return ::testing::AssertionFailure()
               << "number " << i << " is " << got[i] << ", wanted " << wanted[i];
    }
    return ::testing::AssertionSuccess();
}

inline bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() &&
           (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

constexpr uint32_t ceil_div(uint64_t count, uint64_t per) {
    return static_cast<uint32_t>((count + per - 1) / per);
}

}  // namespace tenon::shaders
