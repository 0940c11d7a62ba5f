#include "backends/common/row_copy.h"

#include <cstring>

namespace tenon::common {
namespace {

// Whether rows * pitch stays inside `size` without wrapping; the last row ends at row_bytes.
bool inside(uint64_t offset, uint64_t rows, uint64_t pitch, uint64_t row_bytes,
            uint64_t size) noexcept {
    if (rows == 0 || row_bytes == 0) return offset <= size;
    uint64_t span = 0;
    uint64_t end = 0;
    return !__builtin_mul_overflow(rows - 1, pitch, &span) &&
           !__builtin_add_overflow(span, row_bytes, &span) &&
           !__builtin_add_overflow(span, offset, &end) && end <= size;
}

}  // namespace

sdk::Status check_copy(uint32_t index, const tenon_copy& copy, uint64_t dst_bytes,
                       uint64_t src_bytes) noexcept {
    const tenon_copy& c = copy;
    if (c.rows > 1 && (c.dst_pitch < c.row_bytes || c.src_pitch < c.row_bytes)) {
        return sdk::fail(TENON_INVALID, "Copy %u has a pitch below its row of %llu bytes.", index,
                         static_cast<unsigned long long>(c.row_bytes));
    }
    if ((c.dst != nullptr && !inside(c.dst_offset, c.rows, c.dst_pitch, c.row_bytes, dst_bytes)) ||
        (c.src != nullptr && !inside(c.src_offset, c.rows, c.src_pitch, c.row_bytes, src_bytes))) {
        return sdk::fail(TENON_INVALID, "Copy %u leaves its buffer.", index);
    }
    return {};
}

void copy_rows(const tenon_copy& copy, uint8_t* dst, const uint8_t* src) noexcept {
    if (copy.row_bytes == 0) return;  // of any number of rows
    for (uint64_t row = 0; row < copy.rows; ++row)
        std::memmove(dst + copy.dst_offset + row * copy.dst_pitch,
                     src + copy.src_offset + row * copy.src_pitch, copy.row_bytes);
}

}  // namespace tenon::common
