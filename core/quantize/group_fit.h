// Scale and min of one group of elements, found by search, before anything is stored.
#pragma once

#include <cstdint>

#include "core/quantize/levels.h"

namespace tenon::quantize {

// Which values a format can store for a group.
struct FitBounds {
    bool scale_signed = true;  // false: the scale is not below zero
    int min_sign = 0;          // -1: the min is not above zero; 1: not below; 0: any
};

struct GroupFit {
    float scale = 0, min = 0;
};

// The scale that makes the sum of weights * (x - scale * level)^2 small.
GroupFit fit_scale(const Levels& levels, const float* x, const float* weights, uint32_t n,
                   const FitBounds& bounds);

// Scale and min that make the sum of weights * (x - scale * level - min)^2 small.
GroupFit fit_scale_and_min(const Levels& levels, const float* x, const float* weights, uint32_t n,
                           const FitBounds& bounds);

}  // namespace tenon::quantize
