// The known name that a mistyped one was probably meant to be.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

// Damerau-Levenshtein distance (optimal string alignment).
size_t edit_distance(std::string_view a, std::string_view b);

// The closest of `known` when it is within a third of the length of `seen` (at least 1), else "".
std::string nearest(std::string_view seen, const std::vector<std::string>& known);

}  // namespace tenon::config
