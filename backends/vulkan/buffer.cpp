#include <algorithm>
#include <cstring>

#include "backends/common/row_copy.h"
#include "backends/vulkan/queue.h"

namespace tenon::vulkan {

sdk::Status Impl::buffer_alloc(Device& device, const tenon_buffer_desc& desc,
                               std::unique_ptr<Buffer>& buffer) {
    auto made = std::make_unique<Buffer>();
    made->device = &device;
    made->bytes = desc.bytes;
    TENON_SDK_CHECK(
        device.arena.take(Purpose::kIo, desc.bytes, "A buffer", made->memory, desc.align));
    TENON_SDK_CHECK(device.zero(made->memory));
    buffer = std::move(made);
    return {};
}

namespace {

sdk::Status check_copies(const Device& device, const tenon_copy* copies, uint32_t n) noexcept {
    for (uint32_t i = 0; i < n; ++i) {
        const Buffer* dst = Handles::get(copies[i].dst);
        const Buffer* src = Handles::get(copies[i].src);
        if ((dst != nullptr && dst->device != &device) ||
            (src != nullptr && src->device != &device))
            return sdk::fail(TENON_INVALID, "Copy %u names a buffer of another device.", i);
        TENON_SDK_CHECK(common::check_copy(i, copies[i], dst == nullptr ? 0 : dst->bytes,
                                           src == nullptr ? 0 : src->bytes));
    }
    return {};
}

}  // namespace

sdk::Status Impl::copy(Queue& queue, sdk::Span<const tenon_copy> copies, const tenon_sync& sync) {
    TENON_SDK_CHECK(check_copies(*queue.device, copies.first, copies.count));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kCopy;
    work->copies.assign(copies.begin(), copies.end());
    queue.push();
    return {};
}

namespace {

// One end of a copy: bytes of a device buffer that the host sees, or of the host.
uint8_t* host_view(const tenon_copy& copy, bool dst) noexcept {
    const tenon_buffer* handle = dst ? copy.dst : copy.src;
    const uint64_t offset = dst ? copy.dst_offset : copy.src_offset;
    if (handle == nullptr) {
        const void* memory = dst ? copy.host_dst : copy.host_src;
        return static_cast<uint8_t*>(const_cast<void*>(memory)) + offset;
    }
    const Memory& memory = Handles::get(const_cast<tenon_buffer*>(handle))->memory;
    // Reading through an uncached window is slower than a copy by the device.
    if (memory.mapped() == nullptr || (!dst && !memory.cached())) return nullptr;
    return memory.mapped() + offset;
}

// Bytes from the first to behind the last row.
uint64_t span(uint64_t rows, uint64_t pitch, uint64_t row_bytes) noexcept {
    return (rows - 1) * pitch + row_bytes;
}

// The same bytes in as few rows as can be.
tenon_copy collapsed(const tenon_copy& copy) noexcept {
    tenon_copy c = copy;
    if (c.rows > 1 && c.dst_pitch == c.row_bytes && c.src_pitch == c.row_bytes) {
        c.row_bytes *= c.rows;
        c.rows = 1;
    }
    if (c.rows == 1) c.dst_pitch = c.src_pitch = c.row_bytes;
    return c;
}

}  // namespace

bool Worker::copy_at_once(const Work& work) noexcept {
    if (!idle()) return false;
    for (const tenon_copy& c : work.copies)
        if (host_view(c, true) == nullptr || host_view(c, false) == nullptr) return false;
    for (const tenon_copy& copy : work.copies) {
        if (copy.row_bytes == 0) continue;  // of any number of rows
        const tenon_copy c = collapsed(copy);
        uint8_t* dst = host_view(c, true);
        const uint8_t* src = host_view(c, false);
        for (uint64_t row = 0; row < c.rows; ++row)
            std::memmove(dst + row * c.dst_pitch, src + row * c.src_pitch, c.row_bytes);
    }
    return true;
}

sdk::Status Worker::run_copies(Work& work) noexcept {
    if (copy_at_once(work)) return {};
    for (const tenon_copy& copy : work.copies) {
        if (copy.rows == 0 || copy.row_bytes == 0) continue;
        const tenon_copy c = collapsed(copy);
        if (c.dst != nullptr && c.src != nullptr) {
            TENON_SDK_CHECK(copy_within(work, c));
        } else if (c.dst != nullptr || c.src != nullptr) {
            TENON_SDK_CHECK(copy_staged(work, c));
        } else {
            TENON_SDK_CHECK(copy_on_host(work, c));
        }
    }
    return {};
}

// The device has no part in it but the order.
sdk::Status Worker::copy_on_host(Work& work, const tenon_copy& c) noexcept {
    TENON_SDK_CHECK(send(work, false));
    wait_idle();
    for (uint64_t row = 0; row < c.rows; ++row)
        std::memmove(static_cast<uint8_t*>(c.host_dst) + c.dst_offset + row * c.dst_pitch,
                     static_cast<const uint8_t*>(c.host_src) + c.src_offset + row * c.src_pitch,
                     c.row_bytes);
    return {};
}

sdk::Status Worker::copy_within(Work& work, const tenon_copy& c) noexcept {
    const Memory& dst = Handles::get(c.dst)->memory;
    const Memory& src = Handles::get(c.src)->memory;
    const uint64_t src_end = c.src_offset + span(c.rows, c.src_pitch, c.row_bytes);
    const uint64_t dst_end = c.dst_offset + span(c.rows, c.dst_pitch, c.row_bytes);
    if (c.dst == c.src && c.src_offset < dst_end && c.dst_offset < src_end)
        return copy_overlapping(work, c);
    TENON_SDK_CHECK(open_flight(work));
    touch({{&src, c.src_offset, src_end, false}, {&dst, c.dst_offset, dst_end, true}});
    record_rows({src.buffer(), src.offset() + c.src_offset}, c.src_pitch,
                {dst.buffer(), dst.offset() + c.dst_offset}, c.dst_pitch, c.row_bytes, c.rows);
    return {};
}

// Vulkan's copies may not overlap: through the staging memory, from the end that is not overwritten.
sdk::Status Worker::copy_overlapping(Work& work, const tenon_copy& c) noexcept {
    if (c.dst_offset == c.src_offset && c.dst_pitch == c.src_pitch) return {};
    const Memory& memory = Handles::get(c.dst)->memory;
    const bool backward = c.dst_offset > c.src_offset;
    const uint64_t pieces = (c.row_bytes + kStagingPieceMax - 1) / kStagingPieceMax;
    for (uint64_t i = 0; i < c.rows; ++i) {
        const uint64_t row = backward ? c.rows - 1 - i : i;
        for (uint64_t k = 0; k < pieces; ++k) {
            const uint64_t col = (backward ? pieces - 1 - k : k) * kStagingPieceMax;
            const uint64_t bytes = std::min(kStagingPieceMax, c.row_bytes - col);
            const uint64_t from = c.src_offset + row * c.src_pitch + col;
            const uint64_t to = c.dst_offset + row * c.dst_pitch + col;
            uint64_t at = 0;
            TENON_SDK_CHECK(take_staging(work, bytes, &at));
            const Place staged{staging_.memory().buffer(), staging_.memory().offset() + at};
            touch({{&memory, from, from + bytes, false}, {&staging_, at, at + bytes, true}});
            record_rows({memory.buffer(), memory.offset() + from}, 0, staged, 0, bytes, 1);
            touch({{&staging_, at, at + bytes, false}, {&memory, to, to + bytes, true}});
            record_rows(staged, 0, {memory.buffer(), memory.offset() + to}, 0, bytes, 1);
        }
    }
    return {};
}

sdk::Status Worker::copy_staged(Work& work, const tenon_copy& c) noexcept {
    if (c.host_src != nullptr) {
        const uint8_t* begin = static_cast<const uint8_t*>(c.host_src) + c.src_offset;
        TENON_SDK_CHECK(
            wait_for_reads(work, begin, begin + span(c.rows, c.src_pitch, c.row_bytes)));
    }
    const uint64_t rows_max = std::max<uint64_t>(1, kStagingPieceMax / c.row_bytes);
    for (uint64_t row = 0; row < c.rows; row += rows_max)
        for (uint64_t col = 0; col < c.row_bytes; col += kStagingPieceMax)
            TENON_SDK_CHECK(stage(work, c, row, std::min(rows_max, c.rows - row), col,
                                  std::min(kStagingPieceMax, c.row_bytes - col)));
    return {};
}

sdk::Status Worker::stage(Work& work, const tenon_copy& c, uint64_t row, uint64_t rows,
                          uint64_t col, uint64_t cols) noexcept {
    if (open_ != nullptr && open_->n_reads == kHostReadsMax) TENON_SDK_CHECK(send(work, false));
    uint64_t at = 0;
    TENON_SDK_CHECK(take_staging(work, rows * cols, &at));
    const Place staged{staging_.memory().buffer(), staging_.memory().offset() + at};
    uint8_t* mapped = staging_.memory().mapped() + at;
    if (c.host_src != nullptr) {
        const auto* from = static_cast<const uint8_t*>(c.host_src) + c.src_offset + col;
        for (uint64_t r = 0; r < rows; ++r)
            std::memcpy(mapped + r * cols, from + (row + r) * c.src_pitch, cols);
        const Memory& dst = Handles::get(c.dst)->memory;
        const uint64_t to = c.dst_offset + row * c.dst_pitch + col;
        touch({{&dst, to, to + span(rows, c.dst_pitch, cols), true}});
        record_rows(staged, cols, {dst.buffer(), dst.offset() + to}, c.dst_pitch, cols, rows);
        return {};
    }
    const Memory& src = Handles::get(c.src)->memory;
    const uint64_t from = c.src_offset + row * c.src_pitch + col;
    touch({{&src, from, from + span(rows, c.src_pitch, cols), false}});
    record_rows({src.buffer(), src.offset() + from}, c.src_pitch, staged, cols, cols, rows);
    auto* to = static_cast<uint8_t*>(c.host_dst) + c.dst_offset + row * c.dst_pitch + col;
    open_->reads[open_->n_reads++] = {mapped, to, cols, rows, c.dst_pitch};
    return {};
}

// Blocks until no flight is going to write these bytes of the host.
sdk::Status Worker::wait_for_reads(Work& work, const uint8_t* begin, const uint8_t* end) noexcept {
    const auto crosses = [&](const Flight& flight) {
        for (uint32_t i = 0; i < flight.n_reads; ++i) {
            const HostRead& read = flight.reads[i];
            if (read.to < end && begin < read.to + span(read.rows, read.pitch, read.row_bytes))
                return true;
        }
        return false;
    };
    if (open_ != nullptr && crosses(*open_)) TENON_SDK_CHECK(send(work, false));
    std::unique_lock<std::mutex> lock(device_.mutex);
    device_.changed.wait(lock, [&] {
        for (uint32_t i = 0; i < in_flight_; ++i)
            if (crosses(flights_[(first_ + i) % kFlightsMax])) return false;
        return true;
    });
    return {};
}

void Worker::record_rows(Place src, uint64_t src_pitch, Place dst, uint64_t dst_pitch,
                         uint64_t row_bytes, uint64_t rows) noexcept {
    if (src_pitch == row_bytes && dst_pitch == row_bytes) {
        row_bytes *= rows;
        rows = 1;
    }
    std::array<VkBufferCopy, 64> regions;
    for (uint64_t row = 0; row < rows;) {
        uint32_t n = 0;
        for (; n < regions.size() && row < rows; ++n, ++row)
            regions[n] = {src.offset + row * src_pitch, dst.offset + row * dst_pitch, row_bytes};
        vkCmdCopyBuffer(open_->commands, src.buffer, dst.buffer, n, regions.data());
    }
}

void Worker::touch(std::initializer_list<Touched> ranges) noexcept {
    bool crosses = n_touched_ + ranges.size() > touched_.size();
    for (const Touched& range : ranges) {
        for (uint32_t i = 0; i < n_touched_ && !crosses; ++i) {
            const Touched& t = touched_[i];
            crosses = t.what == range.what && (t.written || range.written) && t.begin < range.end &&
                      range.begin < t.end;
        }
    }
    if (crosses) barrier();
    for (const Touched& range : ranges)
        touched_[n_touched_++] = range;
}

void Worker::barrier() noexcept {
    VkMemoryBarrier memory{VK_STRUCTURE_TYPE_MEMORY_BARRIER};
    memory.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
    memory.dstAccessMask = VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT;
    vkCmdPipelineBarrier(open_->commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
                         VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &memory, 0, nullptr, 0, nullptr);
    n_touched_ = 0;
}

}  // namespace tenon::vulkan
