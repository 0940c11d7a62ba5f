// A tensor packed for the tests of what reads packed weights.
#pragma once

#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "backends/vulkan/pack.h"
#include "tests/kernels/stored_format.h"

namespace tenon::vulkan::testing {

// Planes as words, with `rows` rows each; a plane that the layout lacks is empty.
struct Packed {
    PackedLayout layout;
    PlaneBytes row;
    uint32_t rows = 0, cols = 0;
    std::vector<uint32_t> lo, hi, scale;
};

inline Packed packed(const tenon_format& format, const std::vector<uint8_t>& stored, uint32_t rows,
                     uint32_t cols) {
    Packer packer;
    EXPECT_TRUE(packer.init(format, cols));
    Packed made;
    made.layout = packer.layout();
    made.row = row_bytes(made.layout, cols);
    made.rows = rows;
    made.cols = cols;
    // Every byte has to be written.
    made.lo.assign(made.row.lo * rows / 4, 0xdeadbeefu);
    made.hi.assign(made.row.hi * rows / 4, 0xdeadbeefu);
    made.scale.assign(made.row.scale * rows / 4, 0xdeadbeefu);
    const auto planes_at = [&](uint32_t r) {
        PackedPlanes planes;
        planes.lo = reinterpret_cast<uint8_t*>(made.lo.data()) + r * made.row.lo;
        planes.hi = reinterpret_cast<uint8_t*>(made.hi.data()) + r * made.row.hi;
        planes.scale = reinterpret_cast<uint8_t*>(made.scale.data()) + r * made.row.scale;
        return planes;
    };
    // In two pieces, as threads do it, from a place of any alignment.
    const uint32_t cut = rows / 2;
    std::vector<uint8_t> shifted(stored.size() + 1);
    std::memcpy(shifted.data() + 1, stored.data(), stored.size());
    EXPECT_TRUE(packer.pack(shifted.data() + 1 + stored_row_bytes(format, cols) * cut, rows - cut,
                            planes_at(cut)));
    EXPECT_TRUE(packer.pack(shifted.data() + 1, cut, planes_at(0)));
    return made;
}

inline std::vector<float> unpacked(const Packed& weight) {
    std::vector<float> values(size_t{weight.rows} * weight.cols);
    for (uint32_t row = 0; row < weight.rows; ++row)
        unpack_row(weight.layout, reinterpret_cast<const uint8_t*>(weight.lo.data()),
                   reinterpret_cast<const uint8_t*>(weight.hi.data()),
                   reinterpret_cast<const uint8_t*>(weight.scale.data()), weight.cols, row,
                   values.data() + size_t{row} * weight.cols);
    return values;
}

}  // namespace tenon::vulkan::testing
