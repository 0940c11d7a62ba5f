// Random operands for kernel tests, reproducible from a seed.
#pragma once

#include "kernels/include/tenon/kernels/pack.h"
#include "kernels/include/tenon/kernels/quantise.h"
#include "tests/kernels/stored_format.h"

namespace tenon::kernels::testing {

inline std::vector<float> random_floats(size_t count, uint32_t seed, float spread = 1.0f) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    std::vector<float> values(count);
    for (float& value : values)
        value = normal(engine);
    return values;
}

struct PackedCase {
    PackedLayout layout;
    std::vector<uint8_t> packed;
    std::vector<float> values;  // rows x cols, as the reference decodes them
};

inline PackedCase packed_case(const tenon_format& format, uint32_t rows, uint32_t cols,
                              uint32_t seed) {
    PackedCase c;
    const std::vector<uint8_t> stored = random_stored(format, rows, cols, seed);
    c.values = decoded(format, stored, rows, cols);
    c.layout = choose_layout(format);
    c.packed.resize(group_bytes(c.layout, cols) * group_count(rows), 0xa5);
    pack_groups(format, stored.data(), rows, cols, 0, group_count(rows), c.packed.data());
    return c;
}

}  // namespace tenon::kernels::testing
