// Upper, lower and title case of code points, as Python 3.11 maps them (Unicode 14). The table is
// written by tests/golden/chat_template/make_case_map.py.
#pragma once

#include <cstdint>
#include <string>

namespace tenon::chat_template {

// Appends the mapping of `point` (one to three code points, UTF-8) to `out`.
void map_upper(uint32_t point, std::string& out);
void map_lower(uint32_t point, std::string& out);
void map_title(uint32_t point, std::string& out);
// Whether str.title() sees a letter that has case, so that the next letter is lower case.
bool is_cased(uint32_t point);

}  // namespace tenon::chat_template
