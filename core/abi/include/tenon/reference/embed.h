// EMBED: rows of a table by token id.
//
// table: [rows, cols]; ids: [tokens], each in 0 .. rows - 1; y: [tokens, cols] = scale * table[id].
// Slow and obvious; allocates nothing. Aliasing: y overlaps no input.
#pragma once

#include <cstdint>

namespace tenon::reference {

inline void embed(const float* table, int64_t cols, const int32_t* ids, int64_t tokens, float scale,
                  float* y) {
    for (int64_t t = 0; t < tokens; ++t) {
        const float* row = table + static_cast<int64_t>(ids[t]) * cols;
        for (int64_t c = 0; c < cols; ++c)
            y[t * cols + c] = scale * row[c];
    }
}

}  // namespace tenon::reference
