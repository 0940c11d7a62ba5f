#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {

sdk::Status Impl::buffer_alloc(Device&, const tenon_buffer_desc& desc,
                               std::unique_ptr<Buffer>& buffer) {
    auto made = std::make_unique<Buffer>();
    const size_t bytes = desc.bytes == 0 ? 1 : desc.bytes;
    made->memory = sdk::HostMemory(bytes, desc.align);
    if (made->memory.data() == nullptr) {
        return sdk::fail(TENON_OOM_DEVICE, "A buffer of %llu bytes does not fit into memory.",
                         static_cast<unsigned long long>(desc.bytes));
    }
    std::memset(made->memory.data(), 0, bytes);
    buffer = std::move(made);
    return {};
}

namespace {

// Whether rows * pitch stays inside `size` without wrapping; the last row ends at row_bytes.
bool inside(uint64_t offset, uint64_t rows, uint64_t pitch, uint64_t row_bytes, uint64_t size) {
    if (rows == 0 || row_bytes == 0) return offset <= size;
    uint64_t span = 0;
    uint64_t end = 0;
    return !__builtin_mul_overflow(rows - 1, pitch, &span) &&
           !__builtin_add_overflow(span, row_bytes, &span) &&
           !__builtin_add_overflow(span, offset, &end) && end <= size;
}

sdk::Status check_copies(const tenon_copy* copies, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        const tenon_copy& c = copies[i];
        if (c.rows > 1 && (c.dst_pitch < c.row_bytes || c.src_pitch < c.row_bytes)) {
            return sdk::fail(TENON_INVALID, "Copy %u has a pitch below its row of %llu bytes.", i,
                             static_cast<unsigned long long>(c.row_bytes));
        }
        Buffer* dst = Handles::get(c.dst);
        Buffer* src = Handles::get(c.src);
        if ((dst != nullptr &&
             !inside(c.dst_offset, c.rows, c.dst_pitch, c.row_bytes, dst->memory.bytes())) ||
            (src != nullptr &&
             !inside(c.src_offset, c.rows, c.src_pitch, c.row_bytes, src->memory.bytes()))) {
            return sdk::fail(TENON_INVALID, "Copy %u leaves its buffer.", i);
        }
    }
    return {};
}

} // namespace

sdk::Status run_copies(const tenon_copy* copies, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        const tenon_copy& c = copies[i];
        uint8_t* dst = c.dst != nullptr ? Handles::get(c.dst)->at(0) : static_cast<uint8_t*>(c.host_dst);
        const uint8_t* src = c.src != nullptr ? Handles::get(c.src)->at(0)
                                              : static_cast<const uint8_t*>(c.host_src);
        for (uint64_t row = 0; row < c.rows; ++row) {
            std::memmove(dst + c.dst_offset + row * c.dst_pitch,
                         src + c.src_offset + row * c.src_pitch, c.row_bytes);
        }
    }
    return {};
}

sdk::Status Impl::copy(Queue& queue, sdk::Span<const tenon_copy> copies, const tenon_sync& sync) {
    TENON_SDK_CHECK(check_copies(copies.first, copies.count));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kCopy;
    work->copies.assign(copies.begin(), copies.end());
    queue.push();
    return {};
}

} // namespace tenon::cpu
