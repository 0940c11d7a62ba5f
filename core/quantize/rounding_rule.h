// How published formats are rounded where everybody rounds alike, as data: a file then equals
// other writers' byte for byte. A format without a row is encoded by search.
#pragma once

#include <cstdint>
#include <string_view>

namespace tenon::quantize {

enum class Rounding : uint8_t {
    kSearch,      // scales and mins that make the weighted squared error small
    kSignedPeak,  // the element of the largest magnitude gets the first code; ties upwards
    kPeak,        // the largest magnitude gets the last code; ties away from zero
    kRange,       // the smallest element gets the first code, the largest the last; ties upwards
    kExponent,    // the scale is the power of two of the largest magnitude over that of the largest
                  // level; nearest level
};

struct RoundingRule {
    std::string_view id;  // of the format
    Rounding rounding;
    // The codes in use; signed where the format's codes are.
    int32_t code_first, code_last;
};

// Null when the format has no row.
const RoundingRule* find_rounding_rule(std::string_view format_id) noexcept;

}  // namespace tenon::quantize
