#include "backends/cpu/cpu_backend.h"

namespace tenon::cpu {

sdk::Status Impl::buffer_alloc(Device&, const tenon_buffer_desc& desc,
                               std::unique_ptr<Buffer>& buffer) {
    auto made = std::make_unique<Buffer>();
    TENON_SDK_CHECK(made->alloc(desc));
    buffer = std::move(made);
    return {};
}

sdk::Status Impl::copy(Queue& queue, sdk::Span<const tenon_copy> copies, const tenon_sync& sync) {
    TENON_SDK_CHECK(common::check_copies<Handles>(copies.first, copies.count));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kCopy;
    work->copies.assign(copies.begin(), copies.end());
    queue.push();
    return {};
}

}  // namespace tenon::cpu
