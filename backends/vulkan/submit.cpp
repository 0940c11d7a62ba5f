#include "backends/common/bind_check.h"
#include "backends/vulkan/exec.h"

namespace tenon::vulkan {
sdk::Status Impl::submit(Queue& queue, Exec& exec, const tenon_bind& bind, const tenon_sync& sync) {
    const auto bytes_of = [](tenon_buffer* buffer) { return Handles::get(buffer)->bytes; };
    TENON_SDK_CHECK(common::check_bind(exec, bind, bytes_of, exec.device->features.storage_align));
    const std::lock_guard<std::mutex> lock(queue.device->mutex);
    Work* work = nullptr;
    TENON_SDK_CHECK(queue.reserve(sync, &work));
    work->take_bind(exec, bind);
    work->exec = &exec;
    queue.push();
    return {};
}

}  // namespace tenon::vulkan
