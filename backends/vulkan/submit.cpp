#include "backends/common/bind_check.h"
#include "backends/vulkan/exec.h"

namespace tenon::vulkan {
sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    const auto bytes_of = [](tenon_buffer* buffer) { return Handles::get(buffer)->bytes; };
    TENON_SDK_CHECK(
        common::check_bind(exec, bind, bytes_of, exec.device->features.storage_align));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->kind = Work::Kind::kStep;
    work->exec = &exec;
    work->bind = bind;
    for (uint32_t i = 0; i < bind.n_slots; ++i) {
        work->buffers[i] = bind.buffers[i];
        work->offsets[i] = bind.offsets == nullptr ? 0 : bind.offsets[i];
    }
    for (uint32_t i = 0; i < exec.n_symbols; ++i) work->symbols[i] = bind.symbols[i];
    work->bind.buffers = work->buffers;
    work->bind.offsets = work->offsets;
    work->bind.symbols = work->symbols;
    queue.push();
    return {};
}

} // namespace tenon::vulkan
