// What WordPiece asks of Unicode 14 about one code point. Tables: unicode_tables.cpp, generated.
#pragma once

#include <cstdint>

namespace tenon::tokenizer {

bool is_white_space(uint32_t point) noexcept;  // property White_Space
bool is_punctuation(uint32_t point) noexcept;  // category P
bool is_mark(uint32_t point) noexcept;         // category M
bool is_control(uint32_t point) noexcept;      // category C but unassigned
// The first code point of the canonical decomposition: the letter without its accents.
uint32_t base_of(uint32_t point) noexcept;
// The first code point of the lower case.
uint32_t lower_of(uint32_t point) noexcept;

}  // namespace tenon::tokenizer
