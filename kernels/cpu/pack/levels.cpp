#include "kernels/cpu/pack/levels.h"

#include <algorithm>
#include <cmath>

namespace tenon::kernels {
namespace {

constexpr int32_t kByteOffset = 128;  // load_codes adds it to signed codes
constexpr int32_t kPowerMax = 24;     // of two, to make a codebook's entries integers

bool take_codebook(const float* entries, int32_t power, Levels* levels) {
    for (uint32_t i = 0; i < levels->count; ++i) {
        const float value = std::ldexp(entries[i], power);
        if (!(std::fabs(value) <= 127.0f) || value != std::nearbyint(value)) return false;
        levels->level[i] = static_cast<int32_t>(value);
    }
    levels->power = power;
    return true;
}

bool find_codebook(const tenon_format& format, Levels* levels) {
    if (take_codebook(format.lut, 0, levels)) return true;
    for (int32_t power = -kPowerMax; power <= kPowerMax; ++power)
        if (take_codebook(format.lut, power, levels)) return true;
    return false;
}

}  // namespace

uint32_t code_count(const tenon_format& format) noexcept {
    return format.packing == TENON_PACK_BYTES ? 256 : 1u << format.bits;
}

float unit_of(const tenon_format& format, uint32_t code) noexcept {
    if (format.cls == TENON_FORMAT_LUT_GROUP) return format.lut[code];
    const int32_t offset = format.packing == TENON_PACK_BYTES ? kByteOffset : 0;
    return static_cast<float>(static_cast<int32_t>(code) - offset - format.zero_point);
}

bool find_levels(const tenon_format& format, Levels* levels) noexcept {
    levels->count = code_count(format);
    levels->power = 0;
    if (format.cls == TENON_FORMAT_LUT_GROUP) {
        if (!find_codebook(format, levels)) return false;
    } else {
        for (uint32_t i = 0; i < levels->count; ++i)
            levels->level[i] = static_cast<int32_t>(unit_of(format, i));
    }
    levels->min = *std::min_element(levels->level, levels->level + levels->count);
    levels->max = *std::max_element(levels->level, levels->level + levels->count);
    return true;
}

}  // namespace tenon::kernels
