// Floats as a format stores them: what tenon::reference::load_float reads back.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::quantize {

// Binary32 to binary16 and bfloat16, to nearest, ties to even; beyond the largest value infinity,
// NaN stays NaN.
uint16_t f16_from_float(float value) noexcept;
uint16_t bf16_from_float(float value) noexcept;

// Element `index` of an array of `dtype` (F32, F16, BF16) becomes `value`, to nearest.
void store_float(uint32_t dtype, std::byte* array, uint64_t index, float value) noexcept;

// A scale or min as `dtype` holds it: to nearest, cut at the largest finite value; E8M0, which has
// no sign and no zero, takes the power of two that is not below |value|.
float nearest_scale(uint32_t dtype, float value) noexcept;

// The largest finite value of `dtype`.
float largest_of(uint32_t dtype) noexcept;

// Writes a value that nearest_scale gave.
void store_scale(uint32_t dtype, std::byte* array, uint64_t index, float value) noexcept;

}  // namespace tenon::quantize
