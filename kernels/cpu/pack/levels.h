// Levels: the integers that a stored format's codes stand for.
#pragma once

#include <cstdint>

#include <tenon/abi.h>

namespace tenon::kernels {

// unit(code) = level[code] * 2^-power. Codes are those of load_codes.
struct Levels {
    uint32_t count = 0;
    int32_t min = 0, max = 0;
    int32_t power = 0;
    int32_t level[256];
};

// False where a codebook's entries are not all integers of 8 bits times one power of two.
bool find_levels(const tenon_format& format, Levels* levels) noexcept;

// What code `code` of load_codes stands for, exactly: reference::dequant_row's unit.
float unit_of(const tenon_format& format, uint32_t code) noexcept;

// Codes that load_codes may give.
uint32_t code_count(const tenon_format& format) noexcept;

}  // namespace tenon::kernels
