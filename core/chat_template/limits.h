// What a template may use up. Templates come with model files, so they are hostile input.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tenon::chat_template {

struct Limits {
    size_t source_bytes = size_t{1} << 20;
    uint32_t parse_depth = 128;  // tags and brackets nested in each other
    uint64_t fuel = 2'000'000;   // one per tree node visited, list item made or 64 bytes copied
    uint32_t recursion = 64;     // macros that call macros
    uint32_t eval_depth = 512;   // tree nodes being walked at once, over all macros
    uint32_t value_depth = 100;  // lists in lists
    int64_t range = 100'000;     // items
    size_t repeat_bytes = size_t{1} << 20;  // 'x' * n
    size_t output_factor = 4;               // output and every string: factor * input + base bytes
    size_t output_base = size_t{64} << 10;
    size_t dict_entries = 1024;  // of one dict made by the template
};

}  // namespace tenon::chat_template
